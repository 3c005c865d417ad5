"""The node lifecycle controller: a node whose lease is no longer renewed is not ready, and neither are its pods.

The grace is a real cluster's 40 s. It is not divided by the time scale, for the heartbeat behind it (10 s) is not.
"""

from __future__ import annotations

import time

from lab.client import Client
from lab.controllers.work import Controller, Informers
from lab.errors import ApiError
from lab.objects import condition, key_of, now, pod_phase
from lab.recorder import Recorder
from lab.resources import LEASES, NODES, PODS, Object

GRACE_S = 40.0
_LEASES = "kube-node-lease"
_LOOKS = 8  # looks at a lease within its grace
_CONDITIONS = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
_PREFIX = "node.kubernetes.io/"
_EFFECTS = ("NoSchedule", "NoExecute")
_OURS = {f"{_PREFIX}{name}" for name in ("unreachable", "not-ready", "unschedulable")}


class NodeController(Controller):
    """Watches leases, writes Unknown conditions, taints and their removal, and pods' readiness. Keys are node names."""

    name = "node-controller"
    workers = 1

    def __init__(self, client: Client, informers: Informers, recorder: Recorder, *, grace_s: float = GRACE_S) -> None:
        super().__init__(client, informers, recorder)
        self._grace_s = grace_s
        self._nodes = self.on_change(NODES, self._node_changed)
        self._pods = self.on_change(PODS, lambda _old, _new: None)
        self._renewals: dict[str, tuple[str, float]] = {}  # the last one seen, and when we first saw it

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            if old is None:
                text = f"Node {key_of(new)} event: Registered Node {key_of(new)} in Controller"
                self.recorder.record(new, "Normal", "RegisteredNode", text)
            self.enqueue(key_of(new))
        elif old is not None:
            self._renewals.pop(key_of(old), None)

    async def sync(self, key: str) -> None:
        """Look at one node's lease and bring conditions, taints and pods in step with it; look again soon."""
        node = self._nodes.by_key(key)
        if node is None:
            return
        self.enqueue_after(key, self._grace_s / _LOOKS)
        if await self._silent_s(key) > self._grace_s and _status(node) != "Unknown":
            node = await self._lose(node)
        await self._taint(node)
        if _status(node) in ("False", "Unknown"):
            await self._mark_pods(key)

    async def _silent_s(self, name: str) -> float:
        """How long the lease has not changed, by our own clock: the node's may be wrong.

        While the API does not answer nobody can renew anything, so that time does not count.
        """
        try:
            lease = await self.client.get(LEASES, _LEASES, name)
        except ApiError as error:
            if not error.not_found:
                self._renewals.pop(name, None)
                raise
            lease = {}
        renewed = str(lease.get("spec", {}).get("renewTime", ""))
        seen, since = self._renewals.get(name, ("", 0.0))
        if name not in self._renewals or seen != renewed:
            since = time.monotonic()
            self._renewals[name] = renewed, since
        return time.monotonic() - since

    async def _lose(self, node: Object) -> Object:
        moment = now()
        conditions = []
        for kind in _CONDITIONS:
            known = condition(node, kind)
            if known is None:
                entry = {"type": kind, "lastHeartbeatTime": node["metadata"]["creationTimestamp"]}
                entry |= {"reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."}
            else:
                entry = known | {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
            conditions.append(entry | {"status": "Unknown", "lastTransitionTime": moment})
        meta = {"resourceVersion": node["metadata"]["resourceVersion"]}
        body = {"metadata": meta, "status": {"conditions": conditions}}
        changed = await self.client.patch(NODES, None, node["metadata"]["name"], body, subresource="status")
        text = f"Node {key_of(node)} status is now: NodeNotReady"
        self.recorder.record(node, "Normal", "NodeNotReady", text)
        self._nodes.learn(changed)
        return changed

    async def _taint(self, node: Object) -> None:
        """Taints as conditions and cordon want them; others are kept."""
        known = node.get("spec", {}).get("taints") or []
        wanted = _taints(node)
        taints = [taint for taint in known if taint["key"] not in _OURS or _name(taint) in wanted]
        present = {_name(taint) for taint in taints}
        taints += [
            {"key": key, "effect": effect} | ({"timeAdded": now()} if key != f"{_PREFIX}unschedulable" else {})
            for key, effect in wanted
            if (key, effect) not in present
        ]
        if taints != known:
            meta = {"resourceVersion": node["metadata"]["resourceVersion"]}
            body = {"metadata": meta, "spec": {"taints": taints or None}}
            self._nodes.learn(await self.client.patch(NODES, None, node["metadata"]["name"], body))

    async def _mark_pods(self, name: str) -> None:
        """Ready becomes False; the containers' own states stay, for nobody knows them."""
        for pod in self._pods.items():
            ready = condition(pod, "Ready")
            if pod["spec"].get("nodeName") != name or ready is None or ready["status"] != "True":
                continue
            if pod_phase(pod) in ("Succeeded", "Failed"):
                continue
            entry = {key: value for key, value in ready.items() if key not in ("reason", "message")}
            entry |= {"status": "False", "lastTransitionTime": now()}
            conditions = [entry if one["type"] == "Ready" else one for one in pod["status"]["conditions"]]
            meta = pod["metadata"]
            body = {
                "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
                "status": {"conditions": conditions},
            }
            changed = await self.client.patch(PODS, meta["namespace"], meta["name"], body, subresource="status")
            self._pods.learn(changed)
            self.recorder.record(pod, "Warning", "NodeNotReady", "Node is not ready")


def _status(node: Object) -> str:
    """The status of the node's Ready condition; a node that never said anything is Unknown once its grace is over."""
    return str((condition(node, "Ready") or {}).get("status", ""))


def _taints(node: Object) -> list[tuple[str, str]]:
    """The ``(key, effect)`` that a node in this state carries."""
    status = _status(node)
    wanted = []
    if status in ("False", "Unknown"):
        key = f"{_PREFIX}unreachable" if status == "Unknown" else f"{_PREFIX}not-ready"
        wanted += [(key, effect) for effect in _EFFECTS]
    if node.get("spec", {}).get("unschedulable"):
        wanted.append((f"{_PREFIX}unschedulable", "NoSchedule"))
    return wanted


def _name(taint: Object) -> tuple[str, str]:
    return taint["key"], taint["effect"]
