"""A session's timeline.json says what its summary.json says, also of an experiment that could not begin."""

import json
import subprocess
import sys
import time

import pytest
import yaml
from small_system import write_small_system

ENVIRONMENTS = """
here: {description: Nothing but an inbox, inbox: "${INBOX}", prometheus: "${PROMETHEUS}"}
"""


def tell(kind, **data):
    arguments = {"kind": kind, "source": "test", **data}
    provider = {"type": "python", "module": "muster.chaos.story", "func": "tell", "arguments": arguments}
    return {"type": "action", "name": f"tell {kind}", "provider": provider}


@pytest.fixture
def drill(tmp_path, serve, patient_environ):
    """Three experiments; the rollbacks of the first throw the kill switch. ``drill()`` -> the ended session."""
    now = lambda _: {"data": {"resultType": "scalar", "result": [time.time(), str(time.time())]}}  # noqa: E731
    url = serve({"/inbox": {"messages": []}, "/api/v1/alerts": {"data": {"alerts": []}}, "/api/v1/query": now}).url
    write_small_system(tmp_path, ENVIRONMENTS)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "conftest.py").write_text(
        "from muster.drill.session import begin\n\ndef pytest_configure(config):\n    begin(config)\n"
    )
    switch = {"type": "process", "path": "touch", "arguments": str(tmp_path / "state" / "stop")}
    for name in ("first", "second", "third"):
        recorder = {"type": "python", "module": "muster.chaos.recorder", "arguments": {"name": name}}
        experiment = {
            "title": f"The {name}",
            "description": "of a session",
            "configuration": {"system": "small", "environment": "here"},
            "runtime": {"rollbacks": {"strategy": "always"}},
            "controls": [{"name": "recorder", "provider": recorder}],
            "extensions": [{"name": "muster", "must_not": ["page"]}],
            "method": [
                tell("fault.injected"),
                tell("fault.confirmed"),
                tell("steady", verdict="PASS", message="ok"),
            ],
            "rollbacks": [{"type": "action", "name": "switch", "provider": switch}],
        }
        (tmp_path / "experiments" / f"{name}.yaml").write_text(yaml.safe_dump(experiment))

    def run():
        environ = {**patient_environ, "INBOX": url, "PROMETHEUS": url, "MUSTER_STATE": str(tmp_path / "state")}
        command = ["pytest", "-p", "muster.pytest_plugin", "--disable-plugin-autoload", "-p", "no:cacheprovider", "-q"]
        place = ["--system", "small", "--env", "here", "--run-dir", str(tmp_path / "run"), "experiments"]
        return subprocess.run(
            [sys.executable, "-m", *command, *place],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_drill_whose_later_experiments_could_not_begin_is_unknown_in_every_output(drill, tmp_path):
    """The first passed; the kill switch came in between. What an earlier run left in the folder is not merged."""
    old = tmp_path / "run" / "experiments" / "old" / "timeline.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    done = drill()
    assert done.returncode == 6, done.stdout + done.stderr
    whole, summary = (json.loads((tmp_path / "run" / name).read_text()) for name in ("timeline.json", "summary.json"))
    assert (whole["verdict"], summary["verdict"]) == ("UNKNOWN", "UNKNOWN")
    told = {row["experiment"]: (row["title"], row["verdict"], row["interrupted"]) for row in whole["experiments"]}
    assert list(told) == ["first", "second", "third"]
    assert told["first"] == ("The first", "PASS", "")
    for name in ("second", "third"):
        title, verdict, why = told[name]
        assert (title, verdict) == (f"The {name}", "UNKNOWN")
        assert why.startswith("the experiment could not begin: the kill switch is on")
    assert whole["interrupted"].startswith("the experiment could not begin")
