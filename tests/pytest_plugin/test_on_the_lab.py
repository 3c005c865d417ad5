"""``muster smoke`` on a running lab."""

import json
import os
import subprocess
import sys
import time

import pytest

from lab import daemon

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


@pytest.fixture
def smoke(lab, tmp_path):
    """Run the command as a user does; returns (exit code, summary)."""

    def run(*arguments):
        command = [sys.executable, "-m", "muster", "smoke", "--run-dir", str(tmp_path), *arguments]
        environment = {**os.environ, "LAB_STATE": lab["state"]}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads((tmp_path / "summary.json").read_text())

    return run


@pytest.fixture
def without(lab):
    """Stop a component for the length of the test; afterwards it runs, and has data, again."""
    stopped = []

    def stop(component):
        stopped.append(component)
        daemon.stop(lab["state"], component)

    yield stop
    for component in stopped:
        daemon.start(lab["state"], component)


def test_a_healthy_lab_passes_and_is_left_running(smoke, lab):
    """No FAIL, nothing unknown, and what ran before runs afterwards."""
    deadline = time.monotonic() + 30  # an earlier test may just have put something right
    code, summary = smoke()
    while code != 0 and time.monotonic() < deadline:
        code, summary = smoke()
    fine = {"PASS", "SKIP"}  # the lab has one node, no autoscaler, and may be at its first revision
    bad = {entry["check"]: entry["message"] for entry in summary["findings"] if entry["verdict"] not in fine}
    assert code == 0, bad
    known = {
        "inside.liboqs_can_be_imported",
        "metrics.the_runbooks_greps_find_what_they_mean",
        "rollout.going_back_changes_the_build",  # an earlier test may have restarted it
    }
    assert set(bad) <= known, bad  # what the documents themselves get wrong warns, wherever they are followed
    assert daemon.is_up(lab["state"])


def test_with_prometheus_stopped_nothing_that_needs_it_passes(smoke, without):
    """UNKNOWN, exit 6, never green; the rest is still judged."""
    without("prometheus")
    code, summary = smoke()
    assert (code, summary["verdict"]) == (6, "UNKNOWN")
    unknown = {finding["check"].split(".")[0] for finding in summary["findings"] if finding["verdict"] == "UNKNOWN"}
    assert {"errors", "latency", "traffic", "memory", "cpu", "down", "targets", "alerting", "pqc"} <= unknown
    assert not [finding for finding in summary["findings"] if finding["verdict"] == "FAIL"]
    assert summary["counts"]["pass"] > 0


def test_with_alertmanager_stopped_who_is_told_is_unknown(smoke, without):
    """Who would be paged cannot be known, and Prometheus' word that it has an Alertmanager is not enough."""
    without("alertmanager")
    code, summary = smoke("-k", "reaches_whom or tells_an_alertmanager")
    assert (code, [finding["verdict"] for finding in summary["findings"]]) == (6, ["UNKNOWN", "UNKNOWN"])
