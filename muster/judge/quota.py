"""Room for what the runbook prescribes: the namespace's quotas against the replicas that a remedy adds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.pods import Ask, Pod, staying
from muster.judge.quantity import amount, show
from muster.judge.rollout import Deployment
from muster.judge.undeclared import declared

# Pods of a Deployment never match the first two; whether they match others depends on what is not read here.
_NEVER, _ALWAYS = frozenset({"Terminating", "BestEffort"}), frozenset({"NotTerminating", "NotBestEffort"})
_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": "pods"}


@dataclass(frozen=True, kw_only=True)
class Quota:
    """One ResourceQuota: quantities by resource."""

    name: str
    hard: Mapping[str, str]
    used: Mapping[str, str]
    scopes: tuple[str, ...]


def quotas(raw: list[Mapping[str, Any]]) -> tuple[Quota, ...]:
    """The typed view of the reading ``quotas``; none means no limit."""
    return tuple(Quota(**{**entry, "scopes": tuple(entry["scopes"])}) for entry in raw)


def assert_room_to_scale(
    quotas: tuple[Quota, ...], deployment: Deployment, pods: tuple[Pod, ...], target: int | None
) -> None:
    """The quotas admit as many replicas as the runbook scales to. Raises Undeclared when it names no number."""
    wanted = declared(target, "how many replicas a remedy scales to")
    more = max(0, wanted - deployment.replicas)
    _assert_room(quotas, pods, more, f"scaling {deployment.name} from {deployment.replicas} to {wanted} replicas")


def assert_room_to_roll_out(quotas: tuple[Quota, ...], deployment: Deployment, pods: tuple[Pod, ...]) -> None:
    """The quotas admit the pods that a rollout, and so a rollback, has beyond the replicas.

    One that may take pods away first gets through without any: then nothing is asked of the quotas. Those that a
    rollout under way has already are there, and its rollback needs no others.
    """
    surge = surge_of(deployment)
    more = min(surge, max(0, deployment.wanted + surge - deployment.replicas))
    if more:
        _assert_room(quotas, pods, more, f"a rollout or rollback of {deployment.name} ({more} more at a time)")


def surge_of(deployment: Deployment) -> int:
    """Pods without whose admission a rollout cannot begin: 0 where it may take one away first."""
    if deployment.strategy.get("type") != "RollingUpdate":
        return 0
    surge = _share(deployment.strategy["max_surge"], deployment.wanted, math.ceil)
    away = _share(deployment.strategy["max_unavailable"], deployment.wanted, math.floor)
    return 0 if away else max(1, surge) if deployment.wanted else 0


def _share(written: Any, replicas: int, rounded: Any) -> int:
    text = str(written)
    return int(rounded(replicas * float(text[:-1]) / 100)) if text.endswith("%") else int(text)


def _assert_room(quotas: tuple[Quota, ...], pods: tuple[Pod, ...], more: int, purpose: str) -> None:
    each = _needs(pods)
    for quota, resource, free in _limits(quotas):
        need = more * each.get(_SHORT.get(resource, resource), 0.0)
        if need <= free:
            continue
        message = (
            f"quota {quota.name} has no room for {purpose}: {resource} needs {show(need, resource)} more,"
            f" {show(max(0.0, free), resource)} of {quota.hard[resource]} is left"
        )
        unclear = sorted(set(quota.scopes) - _ALWAYS)
        if unclear:
            raise Unknown(f"{message}; whether it counts these pods depends on its scope {', '.join(unclear)}")
        claim(False, message)


def _limits(quotas: tuple[Quota, ...]) -> Iterator[tuple[Quota, str, float]]:
    """Quota, resource and what is free of it, of those that count the workload's pods; firm quotas first."""
    for quota in sorted(quotas, key=lambda quota: bool(set(quota.scopes) - _ALWAYS)):
        if _NEVER & set(quota.scopes):
            continue
        for resource, hard in sorted(quota.hard.items()):
            if resource not in quota.used:
                raise Unknown(f"quota {quota.name} does not say yet how much {resource} is used")
            yield quota, resource, amount(hard) - amount(quota.used[resource])


def _needs(pods: tuple[Pod, ...]) -> dict[str, float]:
    """What the hungriest pod takes of a quota, as it was admitted: defaults of the namespace are in it."""
    needs: dict[str, float] = {"pods": 1.0}
    for pod in staying(pods):
        for section in ("requests", "limits"):
            for resource in ("cpu", "memory", "ephemeral-storage"):
                key = f"{section}.{resource}"
                needs[key] = max(needs.get(key, 0.0), _of_pod(pod.asks, section, resource))
    return needs


def _of_pod(asks: tuple[Ask, ...], section: str, resource: str) -> float:
    """Containers run together, init containers one by one before them: the larger counts."""
    together = sum(amount(ask.of(section).get(resource, 0)) for ask in asks if not ask.init)
    return max([together, *(amount(ask.of(section).get(resource, 0)) for ask in asks if ask.init)])
