"""Whatever the end of a process that breaks things, what it broke is healed, once, and a failure shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_system import write_small_system

ENVIRONMENTS = """
here:
  description: Nothing but a cluster
  kubernetes:
    {kubeconfig: KUBECONFIG, server: "http*", namespace: shop, deployment: web, container: web, selector: a=b, port: 80}
  guard: {namespaces: [shop], max_pods: 1}
"""
BREAKING = '''
"""A fault whose healing is a line in a file, and ways to end after it."""
import os, pathlib, signal, sys, time
from muster.chaos.context import field
from muster.errors import MusterError
from muster.faults import faults

def heal(kube, env, entry):
    with open("healings", "a") as file:
        file.write(entry.id + chr(10))
    if pathlib.Path("impatient").exists():
        os.kill(os.getpid(), signal.SIGINT)
    if pathlib.Path("stuck").exists():
        raise MusterError("it is stuck")
    return "mended"

def break_it(then="", configuration=None):
    faults()["fake"] = sys.modules[__name__]
    with field(configuration or {"system": "small", "environment": "here"}) as on:
        on.ledger.open("fake", system="small", environment="here", server=on.kube.server, namespace="shop",
                       target="shop", undo={})
    if then == "raise":
        raise KeyboardInterrupt
    if then:
        os.kill(os.getpid(), getattr(signal, then))
        time.sleep(10)
'''


@pytest.fixture
def folder(tmp_path, api):
    """A place to break things in, with an experiment whose rollbacks heal nothing."""
    write_small_system(tmp_path, ENVIRONMENTS.replace("KUBECONFIG", str(api.kubeconfig)))
    (tmp_path / "breaking.py").write_text(BREAKING)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "conftest.py").write_text(
        "from muster.drill.session import begin\n\ndef pytest_configure(config):\n    begin(config)\n"
    )
    return tmp_path


@pytest.fixture
def run(folder):
    """``run(command..., then=...)`` -> the ended process, after an experiment that goes on so after its fault."""

    def go(*command, then=""):
        provider = {"type": "python", "module": "breaking", "func": "break_it", "arguments": {"then": then}}
        recorder = {"type": "python", "module": "muster.chaos.recorder", "arguments": {"name": "test"}}
        experiment = {
            "title": "A test",
            "description": "of the last heal",
            "configuration": {"system": "small", "environment": "here"},
            "runtime": {"rollbacks": {"strategy": "always"}},
            "controls": [{"name": "recorder", "provider": recorder}],
            "extensions": [{"name": "muster", "must_not": ["rollback"]}],
            "method": [{"type": "action", "name": "break", "provider": provider}],
            "rollbacks": [],
        }
        (folder / "experiments" / "test.yaml").write_text(yaml.safe_dump(experiment))
        environ = {**os.environ, "MUSTER_STATE": str(folder / "state"), "MUSTER_RUN": str(folder / "run")}
        environ |= {"MUSTER_SYSTEM": "small", "MUSTER_ENV": "here", "NO_COLOR": "1"}
        environ["PYTHONPATH"] = os.pathsep.join([str(folder), *sys.path])
        return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)

    return go


CHAOS = (str(Path(sys.executable).with_name("chaos")), "run", "experiments/test.yaml")
PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    "-p",
    "muster.pytest_plugin",
    "--disable-plugin-autoload",
    "experiments",
    "-q",
)
BARE = (sys.executable, "-c", "import breaking; breaking.break_it('raise')")


def states(folder):
    return [json.loads(file.read_text())["state"] for file in (folder / "state" / "ledger").glob("*.json")]


def healings(folder):
    return len((folder / "healings").read_text().splitlines())


@pytest.mark.parametrize(
    ("command", "then"),
    [
        (CHAOS, "SIGUSR2"),  # Chaos Toolkit then skips the rollbacks, whatever the strategy
        (BARE, "raise"),  # no recorder, no session: the interpreter's own end
    ],
)
def test_what_a_process_broke_is_healed_once_at_its_end(run, folder, command, then):
    """The rollbacks of the experiment undo nothing; the ledger and the number of healings tell."""
    result = run(*command, then=then)
    assert (states(folder), healings(folder)) == (["healed"], 1), result.stdout + result.stderr
    assert "healed at the end: mended" in result.stdout + result.stderr


@pytest.mark.parametrize(("command", "tries"), [(CHAOS, 1), (PYTEST, 2)])
def test_what_cannot_be_healed_is_said_and_fails(run, folder, command, tries):
    """One sentence, no exit code 0; the record stays. A session tries once more at its end: the API may be back."""
    (folder / "stuck").touch()
    result = run(*command)
    said = result.stdout + result.stderr
    assert (states(folder), healings(folder)) == (["opening"], tries), said
    assert result.returncode == 1, said
    assert "it is stuck; its watchdog tries again when it expires, muster heal does so now" in said


def test_a_signal_while_the_last_heal_works_ends_the_session_and_not_the_heal(run, folder):
    """Healed once, and then interrupted: pytest's own exit code says that nothing more was broken."""
    (folder / "impatient").touch()
    result = run(*PYTEST)
    said = result.stdout + result.stderr
    assert (states(folder), healings(folder), result.returncode) == (["healed"], 1, 2), said
    journal = json.loads((folder / "run" / "experiments" / "test" / "journal.json").read_text())
    assert journal["status"] == "interrupted"
    assert journal["muster"]["message"].startswith("interrupted by SIGINT: "), said
