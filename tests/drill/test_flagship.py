"""The drill itself, end to end, as a user runs it: a lab of its own, real Prometheus, Alertmanager, HAProxy, Locust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from muster.faults import Ledger
from muster.wait import wait_until

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill")]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def muster(tmp_path):
    """``muster("drill", ...)`` -> a started command in an environment of its own; ``.run`` is its run folder."""
    environ = os.environ | {"LAB_STATE": str(tmp_path / "lab"), "MUSTER_STATE": str(tmp_path / "state")}
    environ.pop("MUSTER_RUN", None)
    output = tmp_path / "output"

    def begin(*arguments, command=(sys.executable, "-m", "muster")):
        with output.open("w") as file:
            command = [*command, *arguments]
            process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=file, stderr=subprocess.STDOUT)
        process.output = output
        started.append(process)
        return process

    started = []
    begin.run, begin.state = tmp_path / "run", tmp_path
    yield begin
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
    begin("lab", "down").wait(60)


def left_running(state):
    """Processes that still belong to this test's lab or load."""
    everybody = psutil.process_iter(["cmdline"])
    named = [process for process in everybody if str(state) in " ".join(process.info["cmdline"] or [])]
    return [process for process in named if process.pid != os.getpid()]


def test_a_bad_release_is_detected_paged_rolled_back_and_proven_and_a_pod_kill_wakes_nobody(muster):
    """`make drill-quick` as README has it, unattended: every objective met, every output there, nothing left behind."""
    drill = muster("drill-quick", command=["make"])
    assert drill.wait(240) == 0, drill.output.read_text()
    run = (ROOT / "reports" / "latest").resolve()
    whole = json.loads((run / "timeline.json").read_text())
    assert whole["verdict"] == "PASS"
    held = {row["objective"]: row["verdict"] for row in whole["objectives"] if row["experiment"] == "bad-release"}
    assert held["predicted"] == "PASS"
    assert {row["experiment"] for row in whole["experiments"]} >= {"bad-release", "pod-kill", "pqc-fallback"}
    for name in ("summary.json", "junit.xml", "experiments/bad-release/story.png", "experiments/pod-kill/story.png"):
        assert (run / name).stat().st_size > 0
    attached = {file.suffix for file in (run / "allure-results").iterdir()}
    assert ".png" in attached
    executor = json.loads((run / "allure-results" / "executor.json").read_text())
    assert executor["buildName"] == run.name  # not its baseline, which wrote there before
    told = drill.output.read_text()
    for words in ("fault injected", "alert firing", "paged on-call", "rolling back", "proven PASS", "recovered"):
        assert words in told
    assert left_running(muster.state) == []
    assert Ledger(muster.state / "state").left() == []


CHAIN = ("fault", "alert", "page", "page team-lead", "webhook", "decision", "rollback", "proof", "symptom", "recovery")


def test_a_slow_release_and_one_that_hangs_are_rolled_back_as_well(muster):
    """The other two triggers, in one session: each link by its own alert, one rollback, nobody else paged."""
    drill = muster("drill", "slow-release", "hanging-release", "--run-dir", str(muster.run))
    code = drill.wait(300)
    whole = json.loads((muster.run / "timeline.json").read_text())
    assert (code, whole["verdict"]) == (0, "PASS"), drill.output.read_text()
    for name, alert in (("slow-release", "LatencyRollback"), ("hanging-release", "DownRollback")):
        held = {row["objective"]: row["verdict"] for row in whole["objectives"] if row["experiment"] == name}
        promised = (*CHAIN, "predicted", "must_not other-page", "must_not second-rollback", "undone", "hypothesis")
        assert {link: held.get(link) for link in promised} == dict.fromkeys(promised, "PASS")
        body = json.loads((muster.run / "experiments" / name / "timeline.json").read_text())
        (decided,) = [e for e in body["events"] if e["kind"] == "decided" and e["data"].get("decision") == "roll back"]
        assert decided["data"]["alert"] == f"X0TTA6BL4{alert}"
    assert Ledger(muster.state / "state").left() == []


def test_with_users_at_the_promised_rate_it_passes_only_if_they_came(muster):
    """6,000/s: the chain holds; what a machine cannot offer beside it is said, and the load is then no plain pass."""
    drill = muster("drill", "bad-release", "--rate", "objective", "--run-dir", str(muster.run))
    code = drill.wait(240)
    whole = json.loads((muster.run / "timeline.json").read_text())
    told = {row["objective"]: (row["verdict"], row["message"]) for row in whole["objectives"]}
    assert {name: told[name][0] for name in ("fault", "alert", "page", "rollback", "proof")} == dict.fromkeys(
        ("fault", "alert", "page", "rollback", "proof"), "PASS"
    ), drill.output.read_text()
    (injected,) = (event["at"] for event in whole["events"] if event["kind"] == "fault.injected")
    users = [e["data"] for e in whole["events"] if e["kind"] == "traffic" and e["at"] > injected]
    due, unsent = (sum(second[key] for second in users) for key in ("offered", "dropped"))
    assert len(users) > 8
    verdict, said = told["load"]
    if verdict == "PASS" and "could not be sent" not in said:
        assert unsent <= 0.02 * due  # the objective's 1%, of one second more or less
        assert 0.95 * 6000 * len(users) < due < 1.05 * 6000 * len(users)
    else:
        assert "/s sent on average" in said or f"{unsent:,} of " in said
    assert (code, whole["verdict"]) in ((0, "PASS"), (6, "UNKNOWN")), drill.output.read_text()


@pytest.mark.parametrize(
    ("number", "code", "moment"), [(signal.SIGTERM, 143, "every ready pod runs"), (signal.SIGINT, 130, "api runs")]
)
def test_an_interrupted_drill_heals_stops_everything_and_says_so(muster, number, code, moment):
    """While the fault is in force, or the lab boots: one sentence, the signal's exit code, nothing left."""
    drill = muster("drill", "bad-release", "--run-dir", str(muster.run))
    wait_until(drill.output.read_text, lambda told: moment in told, what=moment, timeout_s=90, show=lambda told: told)
    drill.send_signal(number)
    assert drill.wait(60) == code, drill.output.read_text()
    if moment == "every ready pod runs":
        assert json.loads((muster.run / "timeline.json").read_text())["verdict"] == "UNKNOWN"
    last = drill.output.read_text().strip().splitlines()[-1]
    assert last == f"muster: the drill was interrupted by {number.name}; it was healed and stopped"
    assert left_running(muster.state) == []
    assert Ledger(muster.state / "state").left() == []
