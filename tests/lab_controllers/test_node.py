"""A node that falls silent: what the node lifecycle controller says of it and of its pods, and how that ends."""

import asyncio
import contextlib

import pytest

from lab.client import MERGE, Client
from lab.errors import ApiError
from lab.objects import condition, now, now_micro
from lab.resources import LEASES, NAMESPACES, NODES, PODS

READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}


class Node:
    """The test plays the node: it registers, renews its lease and reports a pod as ready."""

    def __init__(self, client):
        self.client = client

    async def register(self):
        for name in ("kube-node-lease", "default"):
            with contextlib.suppress(ApiError):
                await self.client.create(NAMESPACES, {"metadata": {"name": name}})
        await self.client.create(NODES, {"metadata": {"name": "n1"}, "status": {"conditions": [self.ready()]}})
        lease = {"metadata": {"name": "n1", "namespace": "kube-node-lease"}, "spec": {"holderIdentity": "n1"}}
        await self.client.create(LEASES, lease)
        await self.report()
        spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
        await self.client.create(PODS, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
        await self.report_pod()

    def ready(self):
        return READY | {"lastHeartbeatTime": now(), "lastTransitionTime": now()}

    async def renew(self):
        await self.client.patch(LEASES, "kube-node-lease", "n1", {"spec": {"renewTime": now_micro()}})

    async def report(self):
        await self.client.patch(NODES, None, "n1", {"status": {"conditions": [self.ready()]}}, subresource="status")

    async def report_pod(self):
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now()}]}
        await self.client.patch(PODS, "default", "p", {"status": status}, subresource="status")

    async def state(self):
        """The node's Ready condition, its taints, and whether the pod is Ready."""
        node, pod = await self.client.get(NODES, None, "n1"), await self.client.get(PODS, "default", "p")
        ready = condition(node, "Ready")
        taints = {(one["key"].partition("/")[2], one["effect"]) for one in node.get("spec", {}).get("taints") or []}
        return (ready["status"], ready["reason"]), taints, condition(pod, "Ready")["status"]

    async def until(self, wanted, *, renewing=False):
        """Wait for a state; ``renewing``: with all that its agent says, should it be lost for a moment."""
        seen = None
        deadline = asyncio.get_running_loop().time() + 30
        while asyncio.get_running_loop().time() < deadline:
            if renewing:
                await self.renew()
                await self.report()
                if wanted[-1] == "True":
                    await self.report_pod()
            seen = await self.state()
            if seen == wanted:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"wanted {wanted}, seen {seen}")


@pytest.fixture
def api(small_world):
    """The API and the node lifecycle controller alone, with a short grace."""
    world = small_world(controllers="node", node_grace_s="4")  # what a busy machine makes of a heartbeat is no silence
    world.start("api")
    return world


def play(api, story):
    """Run a story with a node and the controller at work."""

    async def run():
        async with Client.from_kubeconfig(api.state / "kubeconfig") as client, asyncio.timeout(90):
            node = Node(client)
            await node.register()
            api.start("controllers")
            await story(node)

    asyncio.run(run())


WELL = ("True", "KubeletReady")
LOST = ("Unknown", "NodeStatusUnknown")
UNREACHABLE = {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}


def test_a_silent_node_is_unknown_and_its_pods_unready_until_it_is_back(api, wait_until):
    """Conditions, both taints, Ready=False of a pod that stays Running, events; all taken back when it reports."""

    async def story(node):
        await node.until((WELL, set(), "True"), renewing=True)
        await node.until((LOST, UNREACHABLE, "False"))
        found = await node.client.get(NODES, None, "n1")
        kinds = {one["type"]: one["status"] for one in found["status"]["conditions"]}
        assert kinds == dict.fromkeys(("MemoryPressure", "DiskPressure", "PIDPressure", "Ready"), "Unknown")
        assert (await node.client.get(PODS, "default", "p"))["status"]["phase"] == "Running"
        await node.renew()
        await node.report()
        await node.until((WELL, set(), "False"), renewing=True)  # that the pod is ready is its node's to say

    play(api, story)
    wanted = {
        ("Node", "RegisteredNode", "Node n1 event: Registered Node n1 in Controller"),
        ("Node", "NodeNotReady", "Node n1 status is now: NodeNotReady"),
        ("Pod", "NodeNotReady", "Node is not ready"),
    }

    def told():
        events = api.items("default", "events")
        return wanted <= {(one["involvedObject"]["kind"], one["reason"], one["message"]) for one in events}

    wait_until(told, "the events")


def test_a_cordoned_node_is_tainted_and_taints_of_others_stay(api):
    """The unschedulable taint comes and goes with the cordon."""

    async def story(node):
        other = {"key": "example.org/mine", "value": "x", "effect": "NoSchedule"}
        await node.client.patch(NODES, None, "n1", {"spec": {"unschedulable": True, "taints": [other]}})
        both = {("unschedulable", "NoSchedule"), ("mine", "NoSchedule")}
        await node.until((WELL, both, "True"), renewing=True)
        await node.client.patch(NODES, None, "n1", {"spec": {"unschedulable": None}})
        await node.until((WELL, {("mine", "NoSchedule")}, "True"), renewing=True)

    play(api, story)


def test_a_node_that_was_taken_for_gone_says_what_it_knows(world, namespace, serving):
    """Ready=False that somebody else wrote into a pod is corrected by the node's agent."""
    world.pod(namespace, "web", **serving)
    before = world.wait_ready(namespace, "web")
    conditions = [
        one | {"status": "False"} if one["type"] == "Ready" else one for one in before["status"]["conditions"]
    ]
    path = f"/api/v1/namespaces/{namespace}/pods/web/status"
    marked = world.kube.patch(path, {"status": {"conditions": conditions}}, kind=MERGE)
    assert condition(marked, "Ready")["status"] == "False"
    world.wait_ready(namespace, "web")
