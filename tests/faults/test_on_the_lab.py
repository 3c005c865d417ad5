"""Each fault on the real lab: it bites, its mark is on what it touches, and healing leaves nothing of it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from muster.chaos.stops import switched_off
from muster.faults import Ledger, Refused, faults, heal, inject, plan
from muster.kube import Kube, KubeError, load_access
from muster.lease import DURATION_S, Lease, LeaseHeldError
from muster.release import scale_down, take_traffic_off
from muster.system import load_environment, load_system
from muster.wait import wait_until
from muster.workload import deployment_path, read_workload

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


RBAC = Path(__file__).resolve().parents[2] / "deploy" / "rbac"
AUTHORIZATION = "/apis/rbac.authorization.k8s.io/v1"


class Place:
    """The lab as faults see it: ``kube`` is the account of deploy/rbac/drill.yaml and may do no more than that grants.

    ``admin`` is the test's own.
    """

    def __init__(self, endpoints, folder):
        self.env = load_environment(load_system("x0tta6bl4"), "lab", endpoints=endpoints)
        self.where = self.env.kubernetes
        self.admin = Kube(load_access(self.where.kubeconfig, self.where.context), timeout_s=60)
        self.kube = Kube(load_access(self._grant(folder), self.where.context), timeout_s=60)
        self.ledger = Ledger(folder)

    def _grant(self, folder):
        """Make the account with its roles; its kubeconfig."""
        self._made = []
        for item in yaml.safe_load_all((RBAC / "drill.yaml").read_text()):
            space = item["metadata"].get("namespace")
            group = "/api/v1" if item["kind"] == "ServiceAccount" else AUTHORIZATION
            path = f"{group}/namespaces/{space}" if space else group
            self.admin.post(f"{path}/{item['kind'].lower()}s", item)
            self._made.append(f"{path}/{item['kind'].lower()}s/{item['metadata']['name']}")
        account = f"/api/v1/namespaces/{self.where.namespace}/serviceaccounts/muster-drill"
        token = self.admin.post(f"{account}/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        config = yaml.safe_load(Path(self.where.kubeconfig).read_text())
        config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
        (folder / "kubeconfig").write_text(yaml.safe_dump(config))
        return folder / "kubeconfig"

    def close(self):
        """Take the account away."""
        for path in reversed(self._made):
            self.admin.delete(path)
        self.kube.close()
        self.admin.close()

    def inject(self, kind, *, expires_s=60.0, **how):
        """Inject and wait until it is in force."""
        entry = inject(kind, self.ledger, self.kube, self.env, system="x0tta6bl4", expires_s=expires_s, **how)
        faults()[kind].confirm(self.kube, self.env, entry, timeout_s=60)
        return entry

    def heal(self):
        results = heal(self.ledger, self.kube, self.env)
        assert all(result.ok for result in results), results
        assert self.ledger.left() == []
        return results

    def marked(self):
        """Every object of the namespace, and node, that carries a fault's mark."""
        space = self.where.namespace
        lists = [f"/api/v1/namespaces/{space}/pods", "/api/v1/nodes"]
        lists += [f"/apis/apps/v1/namespaces/{space}/{kind}" for kind in ("deployments", "replicasets")]
        lists += [f"/apis/networking.k8s.io/v1/namespaces/{space}/ingresses"]
        lists += [
            f"/apis/chaos-mesh.org/v1alpha1/namespaces/{space}/{kind}chaos" for kind in ("network", "stress", "pod")
        ]
        return {
            item["metadata"]["name"]: item["metadata"]["annotations"]["muster.dev/fault"]
            for path in lists
            for item in self.admin.get(path)["items"]
            if "muster.dev/fault" in (item["metadata"].get("annotations") or {})
        }

    def await_whole(self):
        """A pod that stands still for a moment is unready for as long."""

        def whole():
            seen = read_workload(self.kube, self.where.namespace, self.where.deployment)
            return not seen.shortfall() and len(seen.serving()) == 3

        wait_until(whole, bool, what="the deployment was not whole", timeout_s=60, tolerate=(KubeError,))

    def get(self, url):
        return httpx.get(url, timeout=10.0, trust_env=False).status_code

    @property
    def deployment(self):
        return deployment_path(self.where.namespace, self.where.deployment)


@pytest.fixture
def place(module_place):
    """The place, whole, with nothing left in it whatever became of the test."""
    module_place.await_whole()
    yield module_place
    module_place.heal()


@pytest.fixture(scope="module")
def module_place(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("muster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_STATE", lab["state"])
        patch.setenv("MUSTER_STATE", str(folder))
        found = Place(lab, folder)
        try:
            yield found
        finally:
            found.heal()
            found.await_whole()
            found.close()


FAULTS = [
    ("pod_kill", {"how_many": "50%"}, "delete 2 of 3 ready pods"),
    ("container_kill", {}, "container-kill"),
    ("network_delay", {"latency": "100ms", "how_many": "all", "last_replica": True}, "3 of 3 ready pods"),
    ("network_partition", {}, "partition"),
    ("cpu_burn", {"load": 20}, '"load": 20'),
    ("ingress_backend", {"last_replica": True}, "replace service x0tta6bl4-staging by"),
    ("node_drain", {"patience": "0s"}, "cordon node lab-node"),
    ("scale_to_zero", {"last_replica": True}, "from 3 to 0"),
    ("bad_canary", {"env_vars": {"FAULT_ERROR_RATIO": "1"}}, "send 10% of the users to it"),
]


@pytest.mark.parametrize(("kind", "how", "words"), FAULTS, ids=[kind for kind, *_ in FAULTS])
def test_fault_bites_is_marked_and_leaves_nothing(place, kind, how, words):
    """Planning says what would be done and does nothing; the record is there before the fault, the mark while it is."""
    assert any(words in sentence for sentence in plan(kind, place.kube, place.env, **how))
    assert place.ledger.left() == []
    entry = place.inject(kind, **how)
    assert place.ledger.get(entry.id).state == "injected"
    if kind != "pod_kill":  # its victims are gone, and their marks with them
        assert entry.id in place.marked().values()
    place.heal()
    assert place.marked() == {}
    place.await_whole()


def test_the_account_of_drills_keeps_others_out_and_throws_no_switch(place):
    """Beside what faults need: the Lease from taking to letting go, and to read the kill switch."""
    space, name = place.where.namespace, f"muster-drill-{place.where.deployment}"
    lease = Lease(place.kube, space, name, me="me")
    # Another test may have killed a drill, which let go of nothing: its Lease must expire first.
    wait_until(lease.take, lambda _: True, what="the Lease", timeout_s=2 * DURATION_S, tolerate=(LeaseHeldError,))
    lease.renew()
    lease.release()
    lease.take()
    lease.release()
    assert switched_off(place.env, place.kube) == ""
    switch = {"metadata": {"name": "muster-stop"}}
    for path, body in (
        (f"/api/v1/namespaces/{space}/configmaps", switch),
        (f"/api/v1/namespaces/{space}/pods", switch),
    ):
        with pytest.raises(KubeError) as refused:
            place.kube.post(path, body)
        assert refused.value.status == 403
    place.admin.delete(f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases/{name}")


def test_canary_that_somebody_tries_is_not_made_bad(place):
    """It would be taken for that release's own fault; and the canary that was aborted meanwhile is whole again.

    Nothing leads back to the bad one: this account may delete what released it.
    """
    place.inject("bad_canary", env_vars={"FAULT_ERROR_RATIO": "1"}, weight=50, replicas=2)
    with pytest.raises(Refused, match="weight of 50: a release is being tried there"):
        plan("bad_canary", place.kube, place.env, env_vars={"FAULT_ERROR_RATIO": "0.5"})
    take_traffic_off(place.kube, place.env)
    scale_down(place.kube, place.env)
    (healed,) = place.heal()
    assert healed.message.endswith(" of it is deleted")
    name = place.env.rollback.canary.deployment
    seen = read_workload(place.kube, place.where.namespace, name)
    (container,) = seen.template["spec"]["containers"]
    assert len(seen.serving()) == seen.wanted == 1
    assert "FAULT_ERROR_RATIO" not in {variable["name"] for variable in container["env"]}


def test_users_feel_a_slow_network_until_it_is_healed(place):
    """The delay is real: an answer takes the latency longer."""
    with httpx.Client(timeout=10.0, trust_env=False) as http:  # one: what a client costs is not the network's doing

        def took_s():
            began = time.monotonic()
            assert http.get(f"{place.env.http}/api/v1/ping").status_code == 200
            return time.monotonic() - began

        place.inject("network_delay", latency="300ms", how_many="all", last_replica=True)
        assert took_s() > 0.3
        place.heal()
        wait_until(took_s, lambda seconds: seconds < 0.3, what="users still waited", timeout_s=30, show=str)


def test_way_in_is_lost_and_found(place):
    """Users meet errors while every replica is well."""
    place.inject("ingress_backend", last_replica=True)
    assert place.get(f"{place.env.http}/health") >= 400
    place.await_whole()
    place.heal()
    assert place.get(f"{place.env.http}/health") == 200


def test_drain_respects_the_budget_and_goes_on_when_the_node_is_back(place):
    """One replica may go; the second eviction is refused by the API, and nothing is forced."""
    entry = place.inject("node_drain", patience="1s")
    assert entry.note.startswith("evicted 1 of 3 pods; ")
    assert "disruption budget" in entry.note
    assert len(read_workload(place.kube, place.where.namespace, place.where.deployment).serving()) == 2
    (healed,) = place.heal()
    assert healed.message.endswith(f"deployment {place.where.deployment} is fully available")


def test_alertmanager_is_taken_away_and_brought_back(place):
    """By the environment's own commands; healing twice starts nothing twice."""
    entry = place.inject("outage", component="alertmanager")
    with pytest.raises(httpx.ConnectError):
        place.get(f"{place.env.alertmanager}/-/ready")
    place.heal()
    assert place.get(f"{place.env.alertmanager}/-/ready") == 200
    assert faults()["outage"].heal(place.kube, place.env, entry) == "alertmanager answers again"


KILLED = """
import os, signal, sys
from muster.chaos.context import field
from muster.faults import inject
with field(None) as on:
    for kind, how in (
        ("scale_to_zero", {"last_replica": True}),
        ("ingress_backend", {"last_replica": True}),
    )[::-1]:
        inject(kind, on.ledger, on.kube, on.env, system="x0tta6bl4", expires_s=float(sys.argv[1]), **how)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_faults_end_by_themselves_when_their_drill_was_killed(place):
    """SIGKILL plays nothing: two watchdogs, each its own process, put everything back without anybody calling heal."""
    done = subprocess.run([sys.executable, "-c", KILLED, "12"], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert {entry.kind for entry in place.ledger.left()} == {"scale_to_zero", "ingress_backend"}
    assert place.kube.get(place.deployment)["spec"]["replicas"] == 0
    assert place.get(f"{place.env.http}/health") >= 400
    wait_until(place.ledger.left, lambda left: not left, what="not every fault ended by itself", timeout_s=60)
    assert place.marked() == {}
    place.await_whole()
    assert place.get(f"{place.env.http}/health") == 200
    logs = [path.read_text() for path in place.ledger.folder.glob("*.log")]
    assert sum("expired: " in text for text in logs) == 2, logs


def test_chaos_mesh_object_ends_by_its_own_duration(place):
    """Even where no watchdog can run any more, the cluster lets go of the pods when the fault's time is over."""
    entry = place.inject("network_partition", expires_s=10)
    (item,) = place.admin.get(entry.undo["folder"])["items"]
    assert item["spec"]["duration"] in {f"{left_s}s" for left_s in range(1, 11)}  # what is left when it is made
    assert item["metadata"]["annotations"]["muster.dev/fault"] == entry.id
    wait_until(place.ledger.left, lambda left: not left, what="the fault did not end by itself", timeout_s=30)
    assert place.admin.get(entry.undo["folder"])["items"] == []


def test_memory_pressure_gets_a_container_killed_for_real(place):
    """The kernel's own word, under a limit made small for the test's sake; the limit is given back."""
    before = place.kube.get(place.deployment)["spec"]["template"]
    small = json.loads(json.dumps(before))
    small["spec"]["containers"][0]["resources"]["limits"]["memory"] = "250Mi"
    _release(place, small)
    try:
        place.inject("memory_pressure", share=110)
        place.heal()
    finally:
        _release(place, before)


def _release(place, template):
    patch = [{"op": "replace", "path": "/spec/template", "value": template}]
    place.kube.patch(place.deployment, patch, kind="application/json-patch+json")
    place.await_whole()
