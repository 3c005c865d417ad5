"""What the readers of Kubernetes see of a running lab, as the account that the committed roles make."""

import os
import time
from pathlib import Path

import pytest
import yaml
from patient import take
from quick import quick

from muster.judge import autoscaling, quota, view
from muster.kube import Kube, KubeError, load_access
from muster.read.exec import Target, run
from muster.read.failures import ReadError
from muster.snapshot import FailureKind
from muster.system import load_environment, load_system
from muster.wait import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]
RBAC = Path(__file__).resolve().parents[2] / "deploy" / "rbac"
NS = "x0tta6bl4-staging"
FROM_THE_API = [
    "deployment", "replicasets", "pods", "events", "nodes", "quotas", "autoscalers", "budgets", "services", "ingresses",
    "canary", "logs",
]  # fmt: skip
INSIDE = ["modules", "certificates"]
PLURAL = {
    "ServiceAccount": "/api/v1/namespaces/{ns}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


@pytest.fixture(scope="module")
def admin(lab):
    with Kube(load_access(lab["kubeconfig"])) as kube:
        yield kube


@pytest.fixture(scope="module")
def place(lab):
    """System and environment of the running lab."""
    previous = os.environ.get("LAB_STATE")
    os.environ["LAB_STATE"] = lab["state"]
    try:
        system = load_system("x0tta6bl4")
        yield system, load_environment(system, "lab")
    finally:
        os.environ.pop("LAB_STATE") if previous is None else os.environ.update(LAB_STATE=previous)


class Account:
    """The account of deploy/rbac, with the roles of the files that were granted."""

    def __init__(self, admin, kubeconfig, folder):
        self.admin, self._made = admin, []
        self.grant("smoke.yaml")
        account = PLURAL["ServiceAccount"].format(ns=NS)
        token = admin.post(f"{account}/muster-smoke/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        config = yaml.safe_load(Path(kubeconfig).read_text())
        config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def grant(self, file):
        for item in yaml.safe_load_all((RBAC / file).read_text()):
            path = PLURAL[item["kind"]].format(ns=item["metadata"].get("namespace"))
            self.admin.post(path, item)
            self._made.append(f"{path}/{item['metadata']['name']}")

    def revoke(self, name):
        path = next(path for path in self._made if path.endswith(name))
        self.admin.delete(path)
        self._made.remove(path)

    def end(self):
        for path in reversed(self._made):
            self.admin.delete(path)


@pytest.fixture(scope="module")
def account(admin, lab, tmp_path_factory):
    made = Account(admin, lab["kubeconfig"], tmp_path_factory.mktemp("account"))
    yield made
    made.end()


def in_time(readings):
    """Whether no look into a pod ran out of time."""
    looks = [reading for name, reading in readings.items() if name in INSIDE]
    kinds = [reading.failure.kind for reading in looks if reading.failure]
    entries = [entry for reading in looks for entry in (reading.value or {}).values()]
    kinds += [entry["failure"]["kind"] for entry in entries if "failure" in entry]
    return FailureKind.TIMEOUT not in kinds


@pytest.fixture
def read(place, account):
    """Readings by name, as that account; ``changes`` are to the kubernetes section.

    Looks inside have few seconds of their own: in a shared lab they may need more than one try.
    """
    system, environment = place

    def now(*names, **changes):
        source = environment.kubernetes.model_copy(update={"kubeconfig": str(account.kubeconfig), **changes})
        there = environment.model_copy(update={"kubernetes": source})

        def look():
            readings = take(system, there, list(names)).readings
            return {name: readings[name] for name in names}

        return wait_until(look, in_time, what="readings without a timeout", timeout_s=60)

    return now


def failed(readings):
    return {name: reading.failure for name, reading in readings.items() if reading.failure}


def test_the_committed_roles_are_enough_and_only_commands_are_refused_without_theirs(read, account):
    """Every reading of the API is taken with smoke.yaml; looking inside needs smoke-exec.yaml, and then works."""
    readings = read(*FROM_THE_API, *INSIDE)
    assert set(failed({name: readings[name] for name in FROM_THE_API})) == set()
    for name in INSIDE:
        for entry in readings[name].value.values():
            assert entry["failure"]["kind"] == FailureKind.FORBIDDEN
            assert "cannot" in entry["failure"]["message"]
            assert "pods/exec" in entry["failure"]["message"]
    account.grant("smoke-exec.yaml")
    readings = read(*INSIDE)
    (modules,) = readings["modules"].value.values()  # one build, one look
    assert modules["modules"]["oqs"] == ""
    assert "ModuleNotFoundError" in modules["modules"]["liboqs"]
    assert modules["algorithms"] == {"ML-KEM-768": ""}
    assert len(readings["certificates"].value) == 3
    for pod, folder in readings["certificates"].value.items():
        (certificate,) = folder["certificates"]
        assert (folder["missing"], folder["files"], folder["broken"]) == ("", ["tls.crt", "tls.key"], [])
        assert certificate["subject"] == f"CN={pod}"
        assert 29 * 86400 < certificate["until"] - time.time() < 31 * 86400


def test_nodes_that_may_not_be_read_are_forbidden_in_the_servers_words(read, account):
    """And nothing else is: whoever cannot grant a ClusterRole still gets the rest."""
    account.revoke("muster-smoke-nodes")
    readings = read("nodes", "pods", "events")
    assert set(failed(readings)) == {"nodes"}
    assert readings["nodes"].failure.kind is FailureKind.FORBIDDEN
    assert 'cannot list resource "nodes"' in readings["nodes"].failure.message


def test_the_surroundings_are_those_of_the_stable_deployment(place):
    """The canary beside it has a Service, an Ingress, pods of its own: none of them is in any reading."""
    system, environment = place
    readings = take(system, environment, FROM_THE_API).readings
    values = {name: readings[name].value for name in FROM_THE_API}
    pods = {pod["name"] for pod in values["pods"] if not pod["terminating"]}
    assert [service["name"] for service in values["services"]] == [NS]
    assert set(values["services"][0]["ready"]) == pods
    assert [(way["name"], way["service"], way["port"]) for way in values["ingresses"]] == [(NS, NS, "http")]
    assert values["ingresses"][0]["addresses"]
    assert [(budget["name"], budget["seen"], budget["needed"]) for budget in values["budgets"]] == [(NS, True, 2)]
    assert values["nodes"]["total"] == 1
    assert values["nodes"]["nodes"][0]["conditions"]["Ready"][0] == "True"
    assert values["deployment"]["containers"] == {"x0tta6bl4": values["deployment"]["images"][0]}
    assert values["pods"][0]["asks"][0]["requests"] == {"cpu": "100m", "memory": "64Mi"}
    assert set(values["logs"]["replicas"]) == pods
    assert values["logs"]["window_s"] == pytest.approx(5.0)


@pytest.fixture
def make(admin):
    """Create an object below a path; it is deleted at the end."""
    made = []

    def one(path, name, **body):
        admin.post(path, {"metadata": {"name": name}, **body})
        made.append(f"{path}/{name}")

    yield one
    for path in reversed(made):
        admin.delete(path)


def test_objects_that_somebody_makes_are_read_and_judged(make, place):
    """A quota with what it counts, an autoscaler of this deployment and of no other, a warning of one of its pods."""
    system, environment = place
    pod = take(system, environment, ["pods"]).readings["pods"].value[0]["name"]
    make(f"/api/v1/namespaces/{NS}/resourcequotas", "few", spec={"hard": {"pods": "6", "requests.cpu": "4"}})
    for name, target in (("by-cpu", NS), ("others", f"{NS}-canary")):
        scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
        spec = {"scaleTargetRef": scaled, "minReplicas": 3 if target == NS else 1, "maxReplicas": 4}
        make(f"/apis/autoscaling/v2/namespaces/{NS}/horizontalpodautoscalers", name, spec=spec)
    for about in (pod, f"{NS}-canary-7765f4dd56-kkkk5"):
        warning = {"type": "Warning", "reason": "Unhealthy", "message": "no", "lastTimestamp": "2026-01-01T00:00:00Z"}
        involved = {"kind": "Pod", "name": about, "namespace": NS}
        make(f"/api/v1/namespaces/{NS}/events", f"{about}.1", involvedObject=involved, count=31, **warning)
    deadline, used = time.monotonic() + 20, {}
    while used.get("pods") != "4" and time.monotonic() < deadline:
        snapshot = take(system, environment, ["quotas", "autoscalers", "events", "deployment", "pods"])
        (few,) = snapshot.readings["quotas"].value
        used = few["used"]
    assert (few["hard"], used) == ({"pods": "6", "requests.cpu": "4"}, {"pods": "4", "requests.cpu": "400m"})
    assert [(one["name"], one["most"]) for one in snapshot.readings["autoscalers"].value] == [("by-cpu", 4)]
    mine = [event for event in snapshot.readings["events"].value if event["count"] == 31]
    assert [(event["name"], event["reason"], event["last"]) for event in mine] == [(pod, "Unhealthy", 1767225600.0)]
    seen = {name: view(snapshot, name, system) for name in ("quotas", "autoscalers", "deployment", "pods")}
    with pytest.raises(AssertionError, match=r"quota few has no room for scaling .* pods needs 4 more, 2 of 6 is left"):
        quota.assert_room_to_scale(seen["quotas"], seen["deployment"], seen["pods"], system.pods.scale_to)
    with pytest.raises(AssertionError, match="scaling to 7 replicas is undone by autoscaler by-cpu"):
        autoscaling.assert_remedy_stands(seen["autoscalers"], system.pods.scale_to)


def test_a_deployment_that_is_gone_is_not_found(read):
    """Deleted, or another name: not the same as a server that failed."""
    found = failed(read("deployment", "budgets", "services", deployment="no-such"))
    assert {name: failure.kind for name, failure in found.items()} == dict.fromkeys(found, FailureKind.NOT_FOUND)
    assert set(found) == {"deployment", "budgets", "services"}
    assert 'deployments.apps "no-such" not found' in found["deployment"].message


def test_the_ends_of_a_command_are_told_apart(place):
    """Exit code, output and stderr; no such program; no such pod; too slow; too loud; nobody there."""
    system, environment = place
    source = environment.kubernetes
    access = load_access(source.kubeconfig, source.context)
    pods = take(system, environment, ["pods"]).readings["pods"].value
    pod = next(entry["name"] for entry in pods if not entry["terminating"])

    def end(*command, pod=pod, timeout_s=20.0):
        return run(access, Target(NS, pod, "x0tta6bl4"), command, timeout_s=timeout_s)

    output = end("sh", "-c", "printf 'a\\303\\274\\n\\377'; echo no >&2; exit 7")
    assert (output.code, output.stdout, output.stderr) == (7, "aü\n\ufffd", "no\n")
    with pytest.raises(ReadError, match=r"could not be started: .*no-such-program") as caught:
        end("no-such-program")
    assert caught.value.failure.kind is FailureKind.UNPARSEABLE
    with pytest.raises(KubeError, match='pods "no-such" not found') as refused:
        end("true", pod="no-such")
    assert refused.value.status == 404

    def slow():
        with pytest.raises(ReadError, match=r"did not end within 0\.5 s") as caught:
            end("sleep", "30", timeout_s=0.5)
        return caught.value.failure

    assert quick(slow, under_s=2).kind is FailureKind.TIMEOUT
    with pytest.raises(ReadError, match="says more than 512 KiB") as caught:
        end("sh", "-c", "head -c 2000000 /dev/zero")
    assert caught.value.failure.kind is FailureKind.TOO_LARGE
