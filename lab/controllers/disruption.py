"""The disruption controller: how many of a budget's pods may be evicted now. Refusing is the API's business."""

from __future__ import annotations

import time

from lab.client import Client
from lab.controllers.work import Controller, Informers
from lab.objects import condition, controller_of, epoch, is_deleting, key_of, labels_of, matches, now, pod_ready, share
from lab.recorder import Recorder
from lab.resources import DEPLOYMENTS, DISRUPTIONBUDGETS, PODS, REPLICASETS, Object

_EVICTION_S = 120.0  # an eviction that was allowed and did not happen within this is forgotten


class DisruptionController(Controller):
    """Writes PodDisruptionBudgets' status."""

    name = "disruption-controller"

    def __init__(self, client: Client, informers: Informers, recorder: Recorder) -> None:
        super().__init__(client, informers, recorder)
        self._budgets = self.on_change(DISRUPTIONBUDGETS, lambda old, new: self.enqueue(key_of(new or old or {})))
        self._pods = self.on_change(PODS, self._pod_changed)
        self._sets = self.on_change(REPLICASETS, self._owner_changed)
        self._deployments = self.on_change(DEPLOYMENTS, self._owner_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        for pod in (old, new):
            for budget in self._budgets.items(pod["metadata"]["namespace"]) if pod else ():
                if selects(budget, pod or {}):
                    self.enqueue(key_of(budget))

    def _owner_changed(self, old: Object | None, new: Object | None) -> None:
        before, after = ((item or {}).get("spec", {}).get("replicas") for item in (old, new))
        if before != after:
            for budget in self._budgets.items((new or old or {})["metadata"]["namespace"]):
                self.enqueue(key_of(budget))

    async def sync(self, key: str) -> None:
        """Count one budget's pods and write its status when it differs."""
        budget = self._budgets.by_key(key)
        if budget is None or is_deleting(budget):
            return
        pods = [pod for pod in self._pods.items(budget["metadata"]["namespace"]) if selects(budget, pod)]
        evicted = self._evicted(budget, pods)
        healthy = [
            pod for pod in pods if pod_ready(pod) and not is_deleting(pod) and pod["metadata"]["name"] not in evicted
        ]
        expected, desired = wanted(budget["spec"], len(pods), self._scale(pods))
        allowed = max(0, len(healthy) - desired) if expected else 0
        status = {
            "observedGeneration": budget["metadata"].get("generation", 1),
            "disruptionsAllowed": allowed,
            "currentHealthy": len(healthy),
            "desiredHealthy": desired,
            "expectedPods": expected,
            "conditions": [_condition(budget, allowed > 0)],
        } | ({"disruptedPods": evicted} if evicted else {})
        if evicted:
            self.enqueue_after(key, _EVICTION_S)
        if status != budget.get("status"):
            changed = await self.client.update(DISRUPTIONBUDGETS, budget | {"status": status}, subresource="status")
            self._budgets.learn(changed)

    def _evicted(self, budget: Object, pods: list[Object]) -> dict[str, str]:
        """Evictions that the API let pass and that cannot be seen in the pods yet."""
        present = {pod["metadata"]["name"] for pod in pods if not is_deleting(pod)}
        entries = budget.get("status", {}).get("disruptedPods") or {}
        fresh = time.time() - _EVICTION_S
        return {name: at for name, at in entries.items() if name in present and epoch(at) > fresh}

    def _scale(self, pods: list[Object]) -> int:
        """How many pods their controllers want; pods without one are not counted, as on a cluster."""
        sizes: dict[str, int] = {}
        for pod in pods:
            owner = controller_of(pod)
            item = self._sets.get(pod["metadata"]["namespace"], owner["name"]) if owner else None
            above = controller_of(item) if item else None
            if above and above["kind"] == "Deployment":
                item = self._deployments.get(pod["metadata"]["namespace"], above["name"]) or item
            if item is not None:
                sizes[item["metadata"]["uid"]] = item["spec"].get("replicas", 1)
        return sum(sizes.values())


def selects(budget: Object, pod: Object) -> bool:
    """Whether the budget protects the pod; an empty selector is every pod, a missing one none."""
    selector = budget["spec"].get("selector")
    return selector == {} or matches(selector, labels_of(pod))


def wanted(spec: Object, present: int, scale: int) -> tuple[int, int]:
    """``(expected pods, healthy pods that must remain)``."""
    if spec.get("maxUnavailable") is not None:
        return scale, max(0, scale - share(spec["maxUnavailable"], scale, round_up=True))
    least = spec.get("minAvailable", 1)
    if isinstance(least, int):
        return present, least
    return scale, share(least, scale, round_up=True)


def _condition(budget: Object, allowed: bool) -> Object:
    known = condition(budget, "DisruptionAllowed")
    status = "True" if allowed else "False"
    since = known["lastTransitionTime"] if known and known["status"] == status else now()
    return {
        "type": "DisruptionAllowed",
        "status": status,
        "observedGeneration": budget["metadata"].get("generation", 1),
        "lastTransitionTime": since,
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
    }
