"""A chain that is cut somewhere: the same drill fails, names the link, and heals the world itself. One lab for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from drill_ground import told as told_by

from muster.faults import Ledger
from muster.kube import Kube, KubeError, load_access
from muster.system import load_environment, load_system
from muster.wait import wait_until
from muster.workload import deployment_path, hash_of, read_workload

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill")]
ROOT = Path(__file__).parents[2]


class Lab:
    """A running lab, and drills on it."""

    def __init__(self, folder):
        self.state, self.faults = folder / "lab", folder / "state"
        self._environ = os.environ | {"LAB_STATE": str(self.state), "MUSTER_STATE": str(self.faults)}
        self._environ.pop("MUSTER_RUN", None)
        self.runs = folder / "runs"

    def muster(self, *arguments, timeout_s=180):
        command = [sys.executable, "-m", "muster", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self._environ, capture_output=True, text=True, check=False, timeout=timeout_s
        )

    def drill(self, experiment, name):
        """``(exit code, timeline.json, what was told)``; nothing may be left of it in the ledger."""
        run = self.runs / name
        done = self.muster("drill", experiment, "--run-dir", str(run))
        assert Ledger(self.faults).left() == []
        assert (run / "timeline.json").is_file(), done.stdout + done.stderr
        return done.returncode, json.loads((run / "timeline.json").read_text()), done.stdout + done.stderr

    def settle(self):
        """Wait until what the test before left is over: a drill begins with a healthy system only."""
        wait_until(
            lambda: self.muster("smoke"),
            lambda done: done.returncode == 0,
            what="smoke",
            timeout_s=90,
            show=lambda done: done.stdout + done.stderr,
        )

    def kube(self):
        return Kube(load_access(str(self.state / "kubeconfig"), "lab"), timeout_s=60)

    def cluster(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LAB_STATE", str(self.state))
            return load_environment(load_system("x0tta6bl4"), "lab").kubernetes


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    running = Lab(tmp_path_factory.mktemp("sabotage"))
    up = running.muster("lab", "up")
    assert up.returncode == 0, up.stderr
    yield running
    running.muster("lab", "down")


@pytest.fixture
def lab(running):
    """The one lab, healthy."""
    running.settle()
    return running


def verdicts(whole):
    return {row["objective"]: row["verdict"] for row in whole["objectives"]}


def test_with_the_previous_revision_equal_to_the_bad_one_nothing_is_rolled_back(lab):
    """The responder says why it does not undo: it would change nothing. The chain breaks at the decision."""
    cutter = threading.Thread(target=only_a_copy_is_left, args=(lab, lab.runs / "equal"), daemon=True)
    cutter.start()
    code, whole, told = lab.drill("bad-release", "equal")
    cutter.join(30)
    assert not cutter.is_alive()
    assert (code, whole["verdict"], whole["broken"]) == (1, "FAIL", "decision"), told
    assert "instead of rolling back" in told
    held = verdicts(whole)
    assert (held["alert"], held["page"], held["webhook"], held["proof"]) == ("PASS", "PASS", "PASS", "FAIL")
    where = lab.cluster()
    path = deployment_path(where.namespace, where.deployment)
    with lab.kube() as kube:  # healed, although what served was no longer the very template that was released
        assert "FAULT_" not in json.dumps(kube.get(path)["spec"])
        told = lab.muster("smoke", "-k", "earlier_revision").stdout
        assert "no earlier ReplicaSet is left to roll back to" in told  # the drill's are none, and the good one was cut
        kube.patch(path, annotated("no more"))  # released once more, so that those who follow find the lab well


def only_a_copy_is_left(lab, run):
    """Once the drill has seen the bad release: the good revision is gone, the one before is it by another name."""
    where = lab.cluster()
    path = deployment_path(where.namespace, where.deployment)
    with lab.kube() as kube:
        before = hash_of(read_workload(kube, where.namespace, where.deployment).current)
        confirmed = lambda: told_by(run, "bad-release", "fault.confirmed")  # noqa: E731
        wait_until(confirmed, bool, what="the bad release in force", timeout_s=120)
        seen = wait_until(
            lambda: read_workload(kube, where.namespace, where.deployment),
            lambda seen: (
                seen.current is not None
                and hash_of(seen.current) != before
                and not seen.shortfall()
                and len(seen.serving()) == seen.wanted
            ),
            what="the bad release",
            timeout_s=60,
            tolerate=(KubeError,),
        )
        kube.delete(
            f"/apis/apps/v1/namespaces/{where.namespace}/replicasets/{seen.replicaset(before)['metadata']['name']}"
        )
        kube.patch(path, annotated("yes"))


def annotated(value):
    """A patch that makes another revision of the same build."""
    return {"spec": {"template": {"metadata": {"annotations": {"copy-of-the-bad-build": value}}}}}


def test_with_the_route_to_the_responder_removed_the_drill_says_where_the_alert_went(lab):
    """People are paged, the responder is well and hears of nothing: the chain breaks at the webhook."""
    file = lab.state / "config" / "alertmanager.yml"
    before = file.read_text()
    cut = yaml.safe_load(before)
    own = cut["route"]["routes"][0]["routes"]
    assert own.pop(0)["receiver"] == "x0tta6bl4/lab/responder"
    file.write_text(yaml.safe_dump(cut))
    try:
        code, whole, told = lab.drill("pqc-fallback", "route")
    finally:
        file.write_text(before)
    assert (code, whole["verdict"], whole["broken"]) == (1, "FAIL", "webhook"), told
    assert "the responder answers, but never received a webhook" in told
    assert "Alertmanager routes it to x0tta6bl4/lab/on-call+security+team-lead+cto" in told


def test_with_the_responder_stopped_the_same_drill_fails_and_names_the_broken_link(lab):
    """FAIL, exit code 1: nothing listens where the webhook goes; and Muster has healed the world itself."""
    assert lab.muster("lab", "stop", "responder").returncode == 0
    code, whole, told = lab.drill("bad-release", "stopped")
    assert (code, whole["verdict"], whole["broken"]) == (1, "FAIL", "webhook"), told
    assert "the responder never received the webhook: Alertmanager could not deliver it" in told
    held = verdicts(whole)
    assert (held["alert"], held["page"], held["proof"]) == ("PASS", "PASS", "FAIL")
    assert held["user_errors_below"] == "FAIL"  # nobody rolled back, and the users' own figures say so
