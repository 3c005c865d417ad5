"""What a watcher of the whole namespace is told, and in which order, while stock kubectl changes things.

The watches are asked for afterwards, from the version before the change on: history is replayed, nothing is slept for.
"""

import http.client
import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.xdist_group("lab_stock")

KINDS = {
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "pods": "/api/v1",
    "events": "/api/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
}


class Witness:
    """Remembers the version at which it was made; ``tell`` gives what each collection said since."""

    def __init__(self, world, k):
        self._address = urlsplit(f"https://127.0.0.1:{world.port}").netloc
        self._context = ssl.create_default_context(cafile=str(world.state / "pki" / "ca.crt"))
        self._headers = {"Authorization": f"Bearer {(world.state / 'token').read_text().strip()}"}
        self._namespace = k.namespace
        self._since = self._version()

    def _get(self, path):
        connection = http.client.HTTPSConnection(self._address, context=self._context, timeout=10)
        connection.request("GET", path, headers=self._headers)
        return connection, connection.getresponse()

    def _version(self):
        connection, answer = self._get(f"/api/v1/namespaces/{self._namespace}/pods")
        version = int(json.load(answer)["metadata"]["resourceVersion"])
        connection.close()
        return version

    def tell(self):
        """By collection: ``(type, object)`` of every event up to now."""
        until = self._version()
        with ThreadPoolExecutor(len(KINDS)) as pool:
            return dict(zip(KINDS, pool.map(lambda kind: self._follow(kind, until), KINDS), strict=True))

    def _follow(self, kind, until):
        query = f"watch=true&timeoutSeconds=1&resourceVersion={self._since}"
        connection, answer = self._get(f"{KINDS[kind]}/namespaces/{self._namespace}/{kind}?{query}")
        events = [json.loads(line) for line in answer]
        connection.close()
        heard = [(event["type"], event["object"]) for event in events]
        versions = [int(one["metadata"]["resourceVersion"]) for _, one in heard]
        assert versions == sorted(set(versions))
        return [event for event, version in zip(heard, versions, strict=True) if version <= until]


@pytest.fixture
def witness(world, shop):
    return Witness(world, shop)


def counts(heard, name):
    """The steps of a count in the objects' statuses, repeats left out."""
    steps = [one["status"].get(name, 0) for _, one in heard if "status" in one]
    return [step for at, step in enumerate(steps) if at == 0 or steps[at - 1] != step]


def reasons(heard, kind="Progressing"):
    """The reasons that a condition had, repeats left out."""
    found = [c["reason"] for _, one in heard for c in one["status"].get("conditions", []) if c["type"] == kind]
    return [reason for at, reason in enumerate(found) if at == 0 or found[at - 1] != reason]


def image(one):
    """What a deployment's or a replica set's template runs."""
    return one["spec"]["template"]["spec"]["containers"][0]["image"]


def undo(k):
    """Undo, and wait for the controller to have seen it."""
    k("rollout undo deployment/web")
    k.observed()


@pytest.fixture
def settled(wait_until):
    """A function: wait until a rollout is done, all controllers have told of it, and these pods are gone."""

    def wait(k, *gone, count=3):
        k("rollout status deployment/web --timeout=30s")
        wait_until(lambda: k.stands(count, *gone), f"{count} pods")

    return wait


def test_creation(world, k, manifest, service, settled):
    """Generation before observedGeneration, Pending before Running before ready, events of every step."""
    witness = Witness(world, k)
    k("apply -f -", stdin=[service, manifest()])
    settled(k)
    told = witness.tell()
    heard = told["deployments"]
    assert (heard[0][0], heard[0][1]["metadata"]["generation"]) == ("ADDED", 1)
    assert "observedGeneration" not in heard[0][1].get("status", {})
    assert {kind for kind, _ in heard[1:]} == {"MODIFIED"}
    available = counts(heard, "availableReplicas")
    assert available == sorted(available)
    assert available[-1] == 3
    steps = reasons(heard)
    assert (steps[0], steps[-1]) == ("NewReplicaSetCreated", "NewReplicaSetAvailable")
    name = told["pods"][0][1]["metadata"]["name"]
    phases = [one["status"]["phase"] for _, one in told["pods"] if one["metadata"]["name"] == name]
    assert phases == sorted(phases)  # Pending, then Running
    events = {one["reason"] for _, one in told["events"]}
    assert {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulled", "Created", "Started"} <= events
    slices = told["endpointslices"]
    assert slices[0][0] == "ADDED"
    assert [one["conditions"]["ready"] for one in slices[-1][1]["endpoints"]] == [True] * 3


def test_a_release_and_its_undo(witness, world, shop, settled):
    """One pod more than asked for at most and none fewer available; the undo wakes the old set under a new number."""
    shop("set image deployment/web web=lab.test/web:2")
    settled(shop)
    told = witness.tell()
    heard = told["deployments"]
    assert heard[0][1]["metadata"]["generation"] > heard[0][1]["status"]["observedGeneration"]
    assert min(counts(heard, "availableReplicas")) == 3
    assert max(counts(heard, "replicas")) == 4
    assert counts(heard, "updatedReplicas")[-3:] == [1, 2, 3]
    assert reasons(heard)[-3:] == ["NewReplicaSetCreated", "ReplicaSetUpdated", "NewReplicaSetAvailable"]
    assert [one["status"] for kind, one in told["replicasets"] if kind == "ADDED"] == [{"replicas": 0}]
    old = [one for _, one in told["replicasets"] if image(one) == "lab.test/web:1"]
    assert old[-1]["spec"]["replicas"] == 0
    undone = Witness(world, shop)
    undo(shop)
    settled(shop)
    told = undone.tell()
    assert reasons(told["deployments"])[-2:] == ["ReplicaSetUpdated", "NewReplicaSetAvailable"]
    assert "ADDED" not in {kind for kind, _ in told["replicasets"]}
    woken = [one for _, one in told["replicasets"] if one["metadata"]["name"] == old[0]["metadata"]["name"]]
    numbers = {key.rpartition("/")[2]: value for key, value in woken[-1]["metadata"]["annotations"].items()}
    assert (numbers["revision"], numbers["revision-history"]) == ("3", "1")


def test_bad_releases(witness, world, shop, settled, wait_until):
    """Until the deadline: one new pod, three old ones available; then Progressing says it is over, until the undo."""
    with shop.deadline(6):
        shop("set image deployment/web web=lab.test/web:missing")
        shop.fails("rollout status deployment/web --timeout=25s")
    # the deadline of 6 s may be over before the agent has done its part
    wait_until(lambda: "ImagePull" in shop("get pods") and "Failed" in shop("get events"), "a pod without its image")
    told = witness.tell()
    heard = told["deployments"]
    assert set(counts(heard, "availableReplicas")) == {3}
    assert reasons(heard)[-2:] == ["ReplicaSetUpdated", "ProgressDeadlineExceeded"]
    assert reasons(heard, "Available") == ["MinimumReplicasAvailable"]
    states = [state["state"] for _, pod in told["pods"] for state in pod["status"].get("containerStatuses", [])]
    assert "ErrImagePull" in {state["waiting"]["reason"] for state in states if "waiting" in state}
    assert {"Failed", "Pulling"} <= {one["reason"] for _, one in told["events"]}
    undone = Witness(world, shop)
    undo(shop)
    settled(shop)
    with shop.deadline(6):
        shop("set env deployment/web NEVER_READY=1")
        shop.fails("rollout status deployment/web --timeout=25s")
    wait_until(lambda: "Unhealthy" in shop("get events"), "an unhealthy pod")
    told = undone.tell()
    heard = told["deployments"]
    assert set(counts(heard, "availableReplicas")) == {3}
    steps = reasons(heard)
    assert (steps[0], steps[-1]) == ("ProgressDeadlineExceeded", "ProgressDeadlineExceeded")
    assert "NewReplicaSetAvailable" in steps
    assert "Unhealthy" in {one["reason"] for _, one in told["events"]}
    ends = told["endpointslices"][-1][1]["endpoints"]
    assert sorted(one["conditions"]["ready"] for one in ends) == [False, True, True, True]


def test_deletions(witness, world, shop, settled):
    """A deleted pod: marked, ended, grace 0, gone; another comes in its place. Scaled to zero: all but that."""
    victim = shop.pods()[0]
    shop(f"delete pod {victim}")
    settled(shop, victim)
    told = witness.tell()
    pods = told["pods"]
    own = [(kind, one["status"]["phase"], one["metadata"].get("deletionGracePeriodSeconds"))
           for kind, one in pods if one["metadata"]["name"] == victim]  # fmt: skip
    assert own[0] == ("MODIFIED", "Running", 10)
    assert ("MODIFIED", "Succeeded", 10) in own
    assert own[-1] == ("DELETED", "Succeeded", 0)
    assert [kind for kind, _ in pods].count("ADDED") == 1
    available = counts(told["deployments"], "availableReplicas")
    assert (min(available), available[-1]) == (2, 3)
    assert ("Killing", "Stopping container web") in {(one["reason"], one["message"]) for _, one in told["events"]}
    zero = Witness(world, shop)
    shop("scale deployment/web --replicas=0")
    shop("wait --for=delete pod -l app=web --timeout=20s")
    settled(shop, count=0)
    told = zero.tell()
    assert [kind for kind, _ in told["pods"] if kind != "MODIFIED"] == ["DELETED"] * 3
    last = told["deployments"][-1][1]["status"]
    assert not {"replicas", "readyReplicas", "availableReplicas", "updatedReplicas"} & last.keys()
    assert not told["endpointslices"][-1][1]["endpoints"]
