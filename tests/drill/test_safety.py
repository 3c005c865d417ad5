"""What ends a drill before its time, on the real lab: harm beyond the budget, and whoever throws the switch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from muster.faults import Ledger
from muster.kube import Kube, load_access
from muster.release.known import CONFIG_MAP
from muster.system import load_environment, load_system
from muster.wait import wait_until
from muster.workload import deployment_path, read_workload

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).parents[2]


class Ground:
    """The lab, drills on it, and what of it nobody may find changed."""

    def __init__(self, endpoints, folder):
        self.env = load_environment(load_system("x0tta6bl4"), "lab", endpoints=endpoints)
        self.where, self.folder, self.state = self.env.kubernetes, folder, folder / "state"
        self.kube = Kube(load_access(self.where.kubeconfig, self.where.context))
        self.path = deployment_path(self.where.namespace, self.where.deployment)
        self._environ = {**os.environ, "LAB_STATE": endpoints["state"], "MUSTER_STATE": str(self.state)}
        for name in ("MUSTER_RUN", "MUSTER_PRODUCTION"):
            self._environ.pop(name, None)
        (folder / "experiments").mkdir()

    def write(self, name, **objectives):
        """bad-release under another name, without a look at the steady state, with these objectives in place of its."""
        text = (ROOT / "experiments" / "bad-release.yaml").read_text(encoding="utf-8")
        experiment = yaml.safe_load(text.replace("{name: bad-release}", f"{{name: {name}}}"))
        del experiment["steady-state-hypothesis"]
        may_fire = ["X0TTA6BL4HighErrorRateCritical", "X0TTA6BL4ErrorRatioRollback"]  # 15% of the requests do fail
        promised = {"must_not": ["rollback"], "may_fire": may_fire, **objectives}
        experiment["extensions"] = [{"name": "muster", **promised}]
        file = self.folder / "experiments" / f"{name}.yaml"
        file.write_text(yaml.safe_dump(experiment), encoding="utf-8")
        return file

    def begin(self, *arguments, **environ):
        """A started ``muster``; its words go to ``.output``."""
        output = self.folder / "output"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "muster", *map(str, arguments)],
                cwd=ROOT,
                env={**self._environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        process.output = output
        return process

    def pytest(self, *arguments):
        """``pytest EXPERIMENTS`` as a user types it: no look at the whole system before, so that it costs less."""
        output = self.folder / "output"
        argv = [sys.executable, "-m", "pytest", "--rootdir", str(self.folder), "-p", "no:cacheprovider", *arguments]
        with output.open("w") as file:
            process = subprocess.Popen(
                list(map(str, argv)), cwd=ROOT, env=self._environ, stdout=file, stderr=subprocess.STDOUT
            )
        process.output = output
        return process

    def whole(self):
        return not read_workload(self.kube, self.where.namespace, self.where.deployment).shortfall()

    def versions(self):
        """Every object that drills touch, by its version; the responder writes its own record in its own time."""
        space = self.where.namespace
        paths = [f"/api/v1/namespaces/{space}/{kind}" for kind in ("pods", "configmaps", "services")]
        paths += [f"/apis/apps/v1/namespaces/{space}/{kind}" for kind in ("deployments", "replicasets")]
        paths += [f"/apis/networking.k8s.io/v1/namespaces/{space}/ingresses"]
        paths += [f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases"]
        paths += [f"/apis/chaos-mesh.org/v1alpha1/namespaces/{space}/networkchaos"]
        return {
            (path, item["metadata"]["name"]): item["metadata"]["resourceVersion"]
            for path in paths
            for item in self.kube.get(path)["items"]
            if item["metadata"]["name"] != CONFIG_MAP
        }


@pytest.fixture(scope="module")
def module_ground(lab, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_STATE", lab["state"])
        found = Ground(lab, tmp_path_factory.mktemp("safety"))
        (found.folder / "experiments" / "conftest.py").write_text((ROOT / "experiments" / "conftest.py").read_text())
        yield found
        found.kube.close()


@pytest.fixture
def ground(module_ground):
    """The lab, whole; whatever became of the test, nothing is left in it."""
    wait_until(module_ground.whole, bool, what="a whole lab", timeout_s=60)
    yield module_ground
    assert Ledger(module_ground.state).left() == []
    assert "FAULT_" not in json.dumps(module_ground.kube.get(module_ground.path)["spec"])


def read(run, name):
    return json.loads((run / "experiments" / name / "timeline.json").read_text(encoding="utf-8"))


def at(timeline, kind):
    return next(event["at"] for event in timeline["events"] if event["kind"] == kind)


def test_harm_beyond_the_budget_ends_the_drill_with_fail_and_undoes_it(ground, tmp_path):
    """15% of users' requests fail and 5% were agreed to: seconds later it is over, exit code 1, the rest not begun."""
    promised = {"load": {"rate": 300, "users": 20}, "stop": {"user_errors_above": "5%", "over": "2s"}}
    drill = ground.pytest(ground.write("tight", **promised), ground.write("zz-next"), "--run-dir", tmp_path)
    assert drill.wait(120) == 1, drill.output.read_text()
    timeline = read(tmp_path, "tight")
    assert timeline["verdict"] == "FAIL"
    assert "of users' requests failed over the last 2 s, and the drill's budget is 5%" in timeline["interrupted"]
    stopped = next(event for event in timeline["events"] if event["data"].get("stopped"))
    assert stopped["data"]["stopped"] == "FAIL"
    assert stopped["at"] - at(timeline, "fault.injected") < 20
    assert at(timeline, "healed") > stopped["at"]
    assert "the drill's budget is 5%" in drill.output.read_text()
    assert not (tmp_path / "experiments" / "zz-next").exists()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["verdict"] == "FAIL"
    assert "budget" in summary["interrupted"]


def test_the_kill_switch_in_the_cluster_ends_the_drill_and_keeps_the_next_from_beginning(ground, tmp_path):
    """Whoever may create a ConfigMap can stop it: UNKNOWN (exit code 6), healed; while it is there nothing begins."""
    maps = f"/api/v1/namespaces/{ground.where.namespace}/configmaps"
    file = ground.write("switched")
    drill = ground.pytest(file, "--run-dir", tmp_path)
    events = tmp_path / "experiments" / "switched" / "events.jsonl"
    broken = lambda: events.is_file() and "fault.injected" in events.read_text()  # noqa: E731
    wait_until(broken, bool, what="the fault", timeout_s=90)
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
        "100 users send 1200 requests a second to http://",
        "on-call, for real: pagerduty http://",
        "more than 50% of users' requests fail over 5s",
        "6 could begin now; nothing was done",
    ):
        assert words in told, told
    assert ground.versions() == before
    assert not (ground.folder / "none").exists()
