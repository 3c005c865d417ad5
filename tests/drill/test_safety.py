"""What ends a drill before its time, on the real lab: harm beyond the budget, and whoever throws the switch."""

import json
import threading
from contextlib import contextmanager, suppress

import httpx
import pytest
from drill_ground import at, read, stopped

from muster.wait import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


def test_harm_beyond_the_budget_ends_the_drill_with_fail_and_undoes_it(ground, tmp_path):
    """15% of users' requests fail and 5% were agreed to: seconds later it is over, exit code 1, the rest not begun."""
    promised = {"load": {"rate": 300, "users": 20}, "stop": {"user_errors_above": "5%", "over": "2s"}}
    drill = ground.pytest(ground.write("tight", **promised), ground.write("zz-next"), "--run-dir", tmp_path)
    assert drill.wait(120) == 1, drill.output.read_text()
    timeline = read(tmp_path, "tight")
    assert timeline["verdict"] == "FAIL"
    assert "requests failed over the last 2 s, and the drill's budget is 5%" in timeline["interrupted"]
    stop = stopped(timeline)
    assert stop["data"]["stopped"] == "FAIL"
    assert stop["at"] - at(timeline, "fault.injected") < 20
    assert at(timeline, "healed") > stop["at"]
    assert "the drill's budget is 5%" in drill.output.read_text()
    assert not (tmp_path / "experiments" / "zz-next").exists()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["verdict"] == "FAIL"
    assert "budget" in summary["interrupted"]


def test_harm_to_real_users_ends_a_drill_that_brings_none_of_its_own(ground, tmp_path):
    """Whom no load generator of ours knows: by the service's own count the budget is spent, so it is ended."""
    promised = {"stop": {"user_errors_above": "5%", "over": "2s"}}
    with visitors(ground.env.http):
        drill = ground.pytest(ground.write("real-users", **promised), "--run-dir", tmp_path)
        assert drill.wait(120) == 1, drill.output.read_text()
    timeline = read(tmp_path, "real-users")
    assert timeline["verdict"] == "FAIL"
    assert timeline["interrupted"].startswith("stopped: by Prometheus, ")
    assert "of all requests failed over the last 2 s, and the drill's budget is 5%" in timeline["interrupted"]
    assert at(timeline, "healed") > stopped(timeline)["at"]
    assert not [event for event in timeline["events"] if event["kind"] == "traffic"]


@contextmanager
def visitors(url):
    """Somebody who is no part of the drill visits the lab's service, a hundred times a second at most."""
    gone = threading.Event()

    def visit():
        with httpx.Client(base_url=url, timeout=2.0, trust_env=False) as http:
            while not gone.wait(0.01):
                with suppress(httpx.HTTPError):  # what is broken on purpose may break this, too
                    http.get("/")

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield
    finally:
        gone.set()
        thread.join(10)


def test_the_kill_switch_in_the_cluster_ends_the_drill_and_keeps_the_next_from_beginning(ground, tmp_path):
    """Whoever may create a ConfigMap can stop it: UNKNOWN (exit code 6), healed; while it is there nothing begins."""
    maps = f"/api/v1/namespaces/{ground.where.namespace}/configmaps"
    file = ground.write("switched")
    drill = ground.pytest(file, "--run-dir", tmp_path)
    ground.await_event(drill, tmp_path, "switched", "fault.injected", timeout_s=90)
    ground.kube.post(maps, {"metadata": {"name": "muster-stop"}})
    try:
        assert drill.wait(90) == 6, drill.output.read_text()
        timeline = read(tmp_path, "switched")
        assert timeline["verdict"] == "UNKNOWN"
        told = f"stopped: the kill switch is on (ConfigMap muster-stop in {ground.where.namespace})"
        assert timeline["interrupted"] == told
        planned = ground.begin("drill", "--dry-run", file)
        assert planned.wait(60) == 1
        assert "the kill switch is on" in planned.output.read_text()
    finally:
        ground.kube.delete(f"{maps}/muster-stop")


def test_a_plan_says_everything_and_does_nothing(ground):
    """The target that is chosen, what undoes it, who is told: and no object has another version than before."""
    wait_until(ground.going, lambda pods: not pods, what="what an earlier drill has ended is there", timeout_s=60)
    before = ground.versions()
    kinds = ("bad-release", "pod-kill", "mesh-partition", "node-drain", "ingress-backend-lost", "service-down")
    planned = ground.begin("drill", "--dry-run", *kinds, MUSTER_STATE=str(ground.folder / "none"))
    assert planned.wait(60) == 0, planned.output.read_text()
    told = planned.output.read_text()
    for words in (
        f"release deployment {ground.where.deployment} in {ground.where.namespace} with FAULT_ERROR_RATIO=0.15",
        "delete 1 of 3 ready pods",
        "cordon node lab-node",
        "ends by itself after 5m; undone so: Uncordon the node",
        "120 users send 1200 requests a second to http://",
        "on-call, for real: pagerduty http://",
        "more than 50% of users' requests fail over 5s",
        "6 could begin now; nothing was done",
    ):
        assert words in told, told
    assert ground.versions() == before
    assert not (ground.folder / "none").exists()
