"""The ResourceQuota controller: what a namespace uses of what its quotas count. Refusing is the API's business."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from lab.client import Client
from lab.controllers.work import Controller, Informers
from lab.objects import epoch, key_of, pod_phase
from lab.recorder import Recorder
from lab.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    PODS,
    REPLICASETS,
    RESOURCEQUOTAS,
    SECRETS,
    SERVICES,
    Object,
    Resource,
)

_COUNTED: dict[str, Resource] = {
    "pods": PODS,
    "services": SERVICES,
    "configmaps": CONFIGMAPS,
    "secrets": SECRETS,
    "resourcequotas": RESOURCEQUOTAS,
    "deployments.apps": DEPLOYMENTS,
    "replicasets.apps": REPLICASETS,
}
_COMPUTE = {"cpu": "requests.cpu", "memory": "requests.memory"}


class QuotaController(Controller):
    """Writes ``status.hard`` and ``status.used``. Kinds that are not in the table above are left out of ``used``."""

    name = "resourcequota-controller"

    def __init__(self, client: Client, informers: Informers, recorder: Recorder) -> None:
        super().__init__(client, informers, recorder)
        self._quotas = self.on_change(RESOURCEQUOTAS, self._quota_changed)
        self._of = {
            name: self._quotas if resource is RESOURCEQUOTAS else self.on_change(resource, self._changed(resource))
            for name, resource in _COUNTED.items()
        }

    def _quota_changed(self, old: Object | None, new: Object | None) -> None:
        self._look(new or old or {})

    def _changed(self, resource: Resource) -> Callable[[Object | None, Object | None], None]:
        def handle(old: Object | None, new: Object | None) -> None:
            if old is None or new is None or (resource is PODS and charged(old) != charged(new)):
                self._look(new or old or {})

        return handle

    def _look(self, item: Object) -> None:
        for quota in self._quotas.items(item["metadata"]["namespace"]):
            self.enqueue(key_of(quota))

    async def sync(self, key: str) -> None:
        """Compute one quota's usage and write it when it differs."""
        quota = self._quotas.by_key(key)
        if quota is None:
            return
        hard = quota["spec"].get("hard") or {}
        namespace = quota["metadata"]["namespace"]
        pods = [pod for pod in self._of["pods"].items(namespace) if in_scope(pod, quota["spec"].get("scopes") or [])]
        usage = used(pods)
        for name, informer in self._of.items():
            usage[f"count/{name}"] = Fraction(sum(1 for _ in informer.items(namespace)))
            if name in ("services", "configmaps", "secrets", "resourcequotas"):
                usage[name] = usage[f"count/{name}"]
        status = {"hard": hard, "used": {name: written(name, usage[name]) for name in hard if name in usage}}
        if status != quota.get("status"):
            changed = await self.client.update(RESOURCEQUOTAS, quota | {"status": status}, subresource="status")
            self._quotas.learn(changed)


def charged(pod: Object) -> bool:
    """Whether the pod still counts: a finished one holds nothing."""
    return pod_phase(pod) not in ("Succeeded", "Failed") and not _overdue(pod)


def _overdue(pod: Object) -> bool:
    """Deleted, and its grace is over: whatever holds it, it is charged no longer."""
    meta = pod["metadata"]
    return bool(meta.get("deletionTimestamp")) and epoch(meta["deletionTimestamp"]) < time.time()


def in_scope(pod: Object, scopes: Iterable[str]) -> bool:
    """Whether a quota with these scopes looks at the pod."""
    best_effort = pod.get("status", {}).get("qosClass") == "BestEffort"
    terminating = pod["spec"].get("activeDeadlineSeconds") is not None
    holds = {
        "BestEffort": best_effort, "NotBestEffort": not best_effort,
        "Terminating": terminating, "NotTerminating": not terminating,
    }  # fmt: skip
    return all(holds.get(scope, True) for scope in scopes)


def used(pods: Iterable[Object]) -> dict[str, Fraction]:
    """What pods are charged with, exactly, under every name that a quota may give it."""
    total = dict.fromkeys(("requests.cpu", "requests.memory", "limits.cpu", "limits.memory", "pods"), Fraction(0))
    for pod in pods:
        if not charged(pod):
            continue
        total["pods"] += 1
        for container in pod["spec"]["containers"]:
            resources = container.get("resources") or {}
            for kind in ("requests", "limits"):
                for name in _COMPUTE:
                    total[f"{kind}.{name}"] += exact((resources.get(kind) or {}).get(name, "0"))
    return total | {short: total[name] for short, name in _COMPUTE.items()}


_POWERS = (-9, -6, -3, 3, 6, 9, 12, 15, 18)
_DECIMAL = {letter: Fraction(f"1e{power}") for letter, power in zip("numkMGTPE", _POWERS, strict=True)}
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def exact(quantity: Any) -> Fraction:
    """A quantity without loss. Raises ValueError when it is none."""
    text = str(quantity)
    if text[-2:] in _BINARY:
        return Fraction(text[:-2]) * (1 << 10 * (_BINARY.index(text[-2:]) + 1))
    if text[-1:] in _DECIMAL:
        return Fraction(text[:-1]) * _DECIMAL[text[-1]]
    return Fraction(text)


def written(name: str, value: Fraction) -> str:
    """A sum as the API writes it: memory in the largest binary unit that divides it, the rest in thousandths."""
    if value.denominator != 1:
        return f"{-(-value * 1000 // 1)}m"
    number = int(value)
    if name.endswith("memory") and number:
        steps = 0
        while number % 1024 == 0 and steps < len(_BINARY):
            number, steps = number // 1024, steps + 1
        return f"{number}{_BINARY[steps - 1] if steps else ''}"
    return str(number)
