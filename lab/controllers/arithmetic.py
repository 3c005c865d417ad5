"""The arithmetic of a rollout: how many pods each ReplicaSet may have. No I/O.

Follows the published behaviour of Kubernetes' Deployment controller; ``sets`` are ReplicaSets, counts are pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lab.controllers.revisions import DESIRED, MAXIMUM, by_age
from lab.objects import annotations_of, share
from lab.resources import Object


def size(replica_set: Object) -> int:
    """How many pods it asks for."""
    return int(replica_set["spec"].get("replicas", 1))


def available(replica_set: Object) -> int:
    """How many of its pods are available."""
    return int(replica_set.get("status", {}).get("availableReplicas") or 0)


def total(sets: Iterable[Object], field: str) -> int:
    """The sum of a status count."""
    return sum(int(item.get("status", {}).get(field) or 0) for item in sets)


def is_rolling(deployment: Object) -> bool:
    """Whether the strategy is RollingUpdate, which is the default."""
    return str((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate")) == "RollingUpdate"


def fence_posts(deployment: Object) -> tuple[int, int]:
    """``(max_surge, max_unavailable)`` in pods: surge rounds up, unavailable down, never both zero."""
    replicas = deployment["spec"]["replicas"]
    if not is_rolling(deployment) or replicas == 0:
        return 0, 0
    rolling: dict[str, Any] = deployment["spec"].get("strategy", {}).get("rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = share(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas)


def new_set_size(deployment: Object, sets: Sequence[Object], new: Object | None) -> int:
    """How large the new ReplicaSet may be now."""
    replicas: int = deployment["spec"]["replicas"]
    if not is_rolling(deployment):
        return replicas
    present = size(new) if new else 0
    room = replicas + fence_posts(deployment)[0] - sum(size(item) for item in sets)
    return present if room <= 0 else present + min(room, replicas - present)


def shrink_old(deployment: Object, old: Sequence[Object], new: Object) -> dict[str, int]:
    """New sizes by name for old ReplicaSets: unhealthy pods go first, healthy ones as far as availability allows."""
    minimum = deployment["spec"]["replicas"] - fence_posts(deployment)[1]
    sizes = {item["metadata"]["name"]: size(item) for item in old}
    room = sum(sizes.values()) + size(new) - minimum - (size(new) - available(new))
    if sum(sizes.values()) == 0 or room <= 0:
        return {}
    before = dict(sizes)
    for item in sorted(old, key=by_age):
        name = item["metadata"]["name"]
        unhealthy = min(room, sizes[name] - available(item))
        if unhealthy > 0:
            sizes[name] -= unhealthy
            room -= unhealthy
    spare = available(new) + sum(available(item) for item in old) - minimum
    for item in sorted(old, key=by_age):
        name = item["metadata"]["name"]
        healthy = min(spare, sizes[name])
        if healthy > 0:
            sizes[name] -= healthy
            spare -= healthy
    return {name: count for name, count in sizes.items() if count != before[name]}


def is_scaling(deployment: Object, sets: Iterable[Object]) -> bool:
    """Whether the deployment's size changed since its ReplicaSets were last sized."""
    wanted = str(deployment["spec"]["replicas"])
    return any(annotations_of(item).get(DESIRED, wanted) != wanted for item in sets if size(item) > 0)


def active_or_latest(new: Object | None, old: Sequence[Object]) -> Object | None:
    """The one ReplicaSet that a change of size concerns; None when several have pods."""
    active = [item for item in (*old, new) if item is not None and size(item) > 0]
    if len(active) > 1:
        return None
    if active:
        return active[0]
    return new or (max(old, key=by_age) if old else None)


def is_saturated(deployment: Object, new: Object | None) -> bool:
    """Whether the new ReplicaSet has all the pods it should, all available."""
    replicas = deployment["spec"]["replicas"]
    return (
        new is not None
        and size(new) == replicas
        and annotations_of(new).get(DESIRED) == str(replicas)
        and available(new) == replicas
    )


def proportional(deployment: Object, sets: Sequence[Object]) -> dict[str, int]:
    """Sizes by name when a deployment is scaled in the middle of a rollout: each active set keeps its share.

    The largest set takes what rounding leaves over.
    """
    replicas = deployment["spec"]["replicas"]
    active = [item for item in sets if size(item) > 0]
    allowed = replicas + fence_posts(deployment)[0] if replicas > 0 else 0
    change = allowed - sum(size(item) for item in active)
    ordered = sorted(active, key=by_age, reverse=change > 0)
    ordered.sort(key=size, reverse=True)
    sizes: dict[str, int] = {}
    given = 0
    for item in ordered:
        part = _fraction(deployment, item, allowed) if change and change != given else 0
        rest = change - given
        part = min(part, rest) if change > 0 else max(part, rest)
        sizes[item["metadata"]["name"]] = size(item) + part
        given += part
    if ordered and change:
        first = ordered[0]["metadata"]["name"]
        sizes[first] = max(0, sizes[first] + change - given)
    return sizes


def _fraction(deployment: Object, replica_set: Object, allowed: int) -> int:
    if deployment["spec"]["replicas"] == 0:
        return -size(replica_set)
    noted = annotations_of(replica_set).get(MAXIMUM, "")
    before = int(noted) if noted.isdigit() and int(noted) else deployment.get("status", {}).get("replicas") or allowed
    return round(size(replica_set) * allowed / before) - size(replica_set)
