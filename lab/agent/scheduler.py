"""Binds pending pods to the one node there is, or says why it cannot, in the scheduler's words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from lab.client import Client
from lab.errors import ApiError
from lab.informer import Informer
from lab.objects import condition, is_deleting, key_of, labels_of, now, pod_phase, quantity
from lab.recorder import Recorder
from lab.resources import PODS, Object

_RESOURCES = ("cpu", "memory")
_NO_PREEMPTION = "Preemption is not helpful for scheduling"
_RETRY_S = 0.2
_AT_ONCE = 16
_log = logging.getLogger(__name__)


class Scheduler:
    """Looks at unbound pods whenever a pod or the node changes; ``run`` until cancelled."""

    def __init__(self, client: Client, pods: Informer, nodes: Informer, recorder: Recorder, node: str) -> None:
        self._client = client
        self._pods = pods
        self._nodes = nodes
        self._recorder = recorder
        self._node = node
        self._wake = asyncio.Event()
        self._queue: dict[str, None] = {}
        self._unschedulable: dict[str, None] = {}
        self._bound: dict[str, dict[str, float]] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Semaphore(_AT_ONCE)
        pods.on_change(self._pod_changed)
        nodes.on_change(self._node_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        if new is None or pod_phase(new) in ("Succeeded", "Failed"):
            self._queue.pop(key, None)
            self._unschedulable.pop(key, None)
            if self._bound.pop(key, None) is not None:
                self._try_again()  # there is room now
        elif new["spec"].get("nodeName"):
            self._bound.setdefault(key, requests_of(new))
            self._unschedulable.pop(key, None)
        elif not is_deleting(new) and key not in self._unschedulable and key not in self._bound:
            self._queue[key] = None
            self._wake.set()

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or _offers(old) != _offers(new):
            self._try_again()

    def _try_again(self) -> None:
        self._queue |= self._unschedulable
        self._unschedulable.clear()
        self._wake.set()

    async def run(self) -> None:
        """Schedule what waits, in order of arrival."""
        await asyncio.gather(self._pods.synced.wait(), self._nodes.synced.wait())
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                key = next(iter(self._queue))
                del self._queue[key]
                pod = self._pods.by_key(key)
                if pod is None or pod["spec"].get("nodeName") or is_deleting(pod):
                    continue
                reason = self._obstacle(pod)
                if reason:
                    self._unschedulable[key] = None
                self._bound |= {} if reason else {key: requests_of(pod)}  # assumed, so that the next pod counts it
                self._start(key, self._refuse(pod, reason) if reason else self._bind(pod))

    def _start(self, key: str, write: Coroutine[None, None, None]) -> None:
        """Write a decision while the next one is made."""
        task = asyncio.ensure_future(self._written(key, write))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _written(self, key: str, write: Coroutine[None, None, None]) -> None:
        try:
            async with self._writing:
                await write
        except ApiError as error:
            self._unschedulable.pop(key, None)
            pod = self._pods.by_key(key)
            if pod is None or pod["spec"].get("nodeName"):
                return
            self._bound.pop(key, None)
            if not (error.not_found or error.unreachable):
                _log.warning("scheduling %s: %s", key, error)
            await asyncio.sleep(_RETRY_S)
            self._pod_changed(None, self._pods.by_key(key) or pod)

    async def _bind(self, pod: Object) -> None:
        meta = pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self._node},
        }
        await self._client.request("POST", PODS.path(meta["namespace"], meta["name"], "binding"), body=binding)
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {self._node}"
        self._recorder.record_scheduling(pod, "Normal", "Scheduled", text, "Binding")

    def _obstacle(self, pod: Object) -> str:
        node = self._nodes.get(None, self._node)
        if node is None:
            return "no nodes available to schedule pods"
        reasons, evictable = _mismatch(pod, node), False
        if not reasons:
            reasons, evictable = self._shortage(requests_of(pod), node["status"]["allocatable"])
        if not reasons:
            return ""
        preemption = "No preemption victims found for incoming pod" if evictable else _NO_PREEMPTION
        return (
            f"0/1 nodes are available: {', '.join(reasons)}. no new claims to deallocate, "
            f"preemption: 0/1 nodes are available: 1 {preemption}."
        )

    def _shortage(self, wanted: dict[str, float], allocatable: Object) -> tuple[list[str], bool]:
        """What there is too little of, and whether an empty node would have enough."""
        reasons = ["1 Too many pods"] if len(self._bound) >= quantity(allocatable["pods"]) else []
        for name in _RESOURCES:
            used = sum(requests[name] for requests in self._bound.values())
            if wanted[name] and used + wanted[name] > quantity(allocatable[name]):
                reasons.append(f"1 Insufficient {name}")
        return sorted(reasons), all(wanted[name] <= quantity(allocatable[name]) for name in _RESOURCES)

    async def _refuse(self, pod: Object, message: str) -> None:
        self._recorder.record_scheduling(pod, "Warning", "FailedScheduling", message, "Scheduling")
        known = condition(pod, "PodScheduled")
        if known is not None and known.get("message") == message:
            return
        moment = known["lastTransitionTime"] if known and known["status"] == "False" else now()
        entry = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        entry["lastTransitionTime"] = moment
        others = [c for c in pod.get("status", {}).get("conditions") or [] if c["type"] != "PodScheduled"]
        meta = pod["metadata"]
        body = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [*others, entry]}}
        await self._client.patch(PODS, meta["namespace"], meta["name"], body, subresource="status")


def requests_of(pod: Object) -> dict[str, float]:
    """What the pod asks for, in cores and bytes; a limit without a request is a request."""
    result = dict.fromkeys(_RESOURCES, 0.0)
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        asked = (resources.get("limits") or {}) | (resources.get("requests") or {})
        for name in _RESOURCES:
            result[name] += quantity(asked.get(name, 0))
    return result


def _mismatch(pod: Object, node: Object) -> list[str]:
    spec = node["spec"]
    tolerations = pod["spec"].get("tolerations") or []
    if spec.get("unschedulable") and not _tolerated(
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}, tolerations
    ):
        return ["1 node(s) were unschedulable"]
    for taint in spec.get("taints") or []:
        if taint["effect"] in ("NoSchedule", "NoExecute") and not _tolerated(taint, tolerations):
            return ["1 node(s) had untolerated taint(s)"]
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels_of(node).items():
        return ["1 node(s) didn't match Pod's node affinity/selector"]
    return []


def _tolerated(taint: Object, tolerations: list[Object]) -> bool:
    for toleration in tolerations:
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("operator") == "Exists":
            if toleration.get("key") in (None, "", taint["key"]):
                return True
        elif toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def _offers(node: Object) -> tuple[object, ...]:
    spec = node.get("spec", {})
    allocatable = node.get("status", {}).get("allocatable")
    return spec.get("unschedulable"), spec.get("taints"), labels_of(node), allocatable
