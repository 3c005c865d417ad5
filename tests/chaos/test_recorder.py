"""The control under the real ``chaos run``: what it records, judges, refuses and survives."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small_system import write_small_system

ENVIRONMENTS = """
here: {description: Nothing but an inbox, inbox: "${INBOX}", prometheus: "${PROMETHEUS}"}
"""


def activity(kind, name, func, /, **arguments):
    module, _, func = func.rpartition(".")
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments}
    return {"type": kind, "name": name, "provider": provider}


@pytest.fixture
def chaos(tmp_path, serve, patient_environ):
    """``chaos(method, objectives=...)`` -> a started ``chaos run`` in a folder of its own."""
    answers = {"/inbox": {"messages": []}, "/api/v1/alerts": {"data": {"alerts": []}}, "/api/v1/query": now}
    server = serve(answers)
    write_small_system(tmp_path, ENVIRONMENTS)
    started = []

    def begin(method, *, objectives=None, environment="here"):
        healed = {"type": "process", "path": "touch", "arguments": str(tmp_path / "healed")}
        experiment = {
            "title": "A test",
            "description": "of the recorder",
            "configuration": {"system": "small", "environment": environment},
            "runtime": {"rollbacks": {"strategy": "always"}},
            "controls": [
                {
                    "name": "recorder",
                    "provider": {"type": "python", "module": "muster.chaos.recorder", "arguments": {"name": "test"}},
                }
            ],
            "extensions": [{"name": "muster", **(objectives or {"must_not": ["page"]})}],
            "method": method,
            "rollbacks": [{"type": "action", "name": "heal", "provider": healed}],
        }
        (tmp_path / "test.yaml").write_text(yaml.safe_dump(experiment))
        command = Path(sys.executable).with_name("chaos")
        process = subprocess.Popen(
            [command, "run", "test.yaml"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **patient_environ,
                "MUSTER_RUN": str(tmp_path / "run"),
                "MUSTER_STATE": str(tmp_path / "state"),
                "INBOX": server.url,
                "PROMETHEUS": server.url,
                "NO_COLOR": "1",
            },
        )
        started.append(process)
        return process

    begin.answers = answers
    yield begin
    for process in started:
        process.kill()
        process.communicate()


def now(_):
    """Prometheus' answer to time()."""
    return {"data": {"resultType": "scalar", "result": [time.time(), str(time.time())]}}


def tell(kind, **data):
    return activity("action", f"tell {kind}", "muster.chaos.story.tell", kind=kind, source="test", **data)


def timeline_of(folder):
    return json.loads((folder / "run" / "experiments" / "test" / "timeline.json").read_text())


def test_an_experiment_whose_promises_hold_passes(chaos, tmp_path):
    """Nobody was paged, the steady state was seen, everything was read: exit code 0, verdict PASS."""
    process = chaos([tell("fault.injected"), tell("fault.confirmed"), tell("steady", verdict="PASS", message="ok")])
    output, _ = process.communicate(timeout=60)
    body = timeline_of(tmp_path)
    assert (process.returncode, body["verdict"]) == (0, "PASS"), output
    assert {"drill.started", "fault.injected", "note", "drill.ended"} <= {event["kind"] for event in body["events"]}


def test_an_experiment_whose_promises_do_not_hold_fails_chaos_run(chaos, tmp_path):
    """Chaos Toolkit alone would call it completed: no probe failed. The exit code and the log say otherwise."""
    story = [tell("fault.injected"), tell("fault.confirmed"), tell("page.received", contact="on-call", alert="A")]
    process = chaos([*story, tell("steady", verdict="PASS", message="ok")])
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert timeline_of(tmp_path)["verdict"] == "FAIL"
    assert "FAIL must_not page: somebody was paged" in output


def test_an_alert_that_has_just_become_pending_is_given_time_to_be_over(chaos, tmp_path):
    """It becomes pending after the fault, and resolves by itself soon after the method: the silence is proven."""
    pending = {
        "state": "pending",
        "labels": {"alertname": "Hiccup", "system": "small"},
        "activeAt": "2026-01-01T00:00:00Z",
    }
    asked = []

    def alerts(_):
        asked.append(time.monotonic())  # by looks, and not by the clock: a machine that stands still misses none
        return {"data": {"alerts": [pending] if 20 < len(asked) < 40 else []}}

    chaos.answers["/api/v1/alerts"] = alerts
    told = [tell("fault.injected"), tell("fault.confirmed"), tell("steady", verdict="PASS", message="ok")]
    heard = activity("probe", "heard", "muster.chaos.probes.happened", event="alert.pending", within="10s")
    process = chaos([*told, {**heard, "tolerance": True}])
    output, _ = process.communicate(timeout=60)
    body = timeline_of(tmp_path)
    assert (process.returncode, body["verdict"]) == (0, "PASS"), output
    assert [e["kind"] for e in body["events"] if e["kind"].startswith("alert")] == ["alert.pending", "alert.resolved"]


def test_every_source_was_looked_at_before_anything_is_broken(chaos, tmp_path):
    """What was there before is told apart by the first look: a container that ends before it would go unnoticed."""
    asked = []

    def inbox(_):
        time.sleep(0.0 if asked else 0.2)
        asked.append(time.time())
        return {"messages": []}

    chaos.answers["/inbox"] = inbox
    process = chaos([tell("fault.injected"), tell("fault.confirmed"), tell("steady", verdict="PASS", message="ok")])
    output, _ = process.communicate(timeout=60)
    (injected,) = [event["at"] for event in timeline_of(tmp_path)["events"] if event["kind"] == "fault.injected"]
    assert asked[0] <= injected, output


def test_a_reason_to_stop_that_is_there_already_keeps_the_method_from_beginning(chaos, tmp_path):
    """This system burns in another environment: nothing is broken here, and the run says why."""
    labels = {"alertname": "Down", "system": "small", "environment": "elsewhere", "severity": "critical"}
    firing = {"state": "firing", "labels": labels, "activeAt": "2026-01-01T00:00:00Z"}
    chaos.answers["/api/v1/alerts"] = {"data": {"alerts": [firing]}}
    process = chaos([activity("action", "break", "os.mkdir", path=str(tmp_path / "broken"))])
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stopped: " in output
    assert "Down" in output
    assert "Traceback" not in output
    assert not (tmp_path / "broken").exists()


def test_nothing_is_broken_when_nothing_can_be_recorded(chaos, tmp_path):
    """An unknown environment, or an objective that cannot be judged, ends it before the method."""
    for wrong in ({"environment": "nowhere"}, {"objectives": {"must_not": ["sleep"]}}):
        process = chaos([activity("action", "break", "os.mkdir", path=str(tmp_path / "broken"))], **wrong)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "the experiment could not begin" in output
        assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_in_an_activity_ends_the_experiment_heals_and_judges(chaos, tmp_path, number):
    """Chaos Toolkit's own SIGTERM handler lets a Python activity fail and carries on; ours ends the method at once."""
    process = chaos(
        [
            activity("action", "mark", "os.mkdir", path=str(tmp_path / "begun")),
            # a signal at its very start leaves it running: it must not hold the pipe that is read to its end
            activity("action", "long", "subprocess.call", args=["sleep", "60"], stdout=-3, stderr=-3),
            activity("action", "later", "os.mkdir", path=str(tmp_path / "later")),
        ]
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    assert (tmp_path / "healed").exists()
    assert not (tmp_path / "later").exists()
    body = timeline_of(tmp_path)
    assert body["verdict"] == "UNKNOWN"
    assert body["interrupted"]
