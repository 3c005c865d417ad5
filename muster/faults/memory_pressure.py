"""Real memory is used up inside a container's limit until the kernel kills it: a StressChaos of memory workers."""

from __future__ import annotations

from muster.errors import UsageError
from muster.faults import chaos_mesh, guard
from muster.faults.chaos_mesh import NEEDS, heal
from muster.faults.intent import Intent
from muster.faults.ledger import Entry
from muster.faults.victims import aim
from muster.judge.quantity import amount
from muster.kube import Kube
from muster.system import Environment
from muster.workload import Json

__all__ = ["KIND", "NEEDS", "confirm", "heal", "intend"]

KIND = "memory_pressure"
MEBIBYTE = 1 << 20


def intend(kube: Kube, env: Environment, *, share: int = 110, how_many: str = "one") -> Intent:
    """Use ``share`` percent of the container's memory limit in ready pods, by processes inside that limit.

    Over 100 the kernel must kill it. Raises :class:`~muster.errors.UsageError` where there is no limit: the pressure
    would be the whole node's.
    """
    container = guard.cluster_of(env).container
    if share <= 100:
        raise UsageError(f"memory pressure of {share}% of the limit kills nothing, so nothing would be proven")
    victims = aim(kube, env, how_many)
    limits = [_limit(pod, container) for pod in victims.chosen]
    if not all(limits):
        raise UsageError(f"container {container} has no memory limit, so the pressure would be the whole node's")
    size = f"{int(max(limits) * share / 100 / MEBIBYTE)}MB"
    return chaos_mesh.intend(
        kube,
        env,
        kind=KIND,
        object_kind="StressChaos",
        spec={"containerNames": [container], "stressors": {"memory": {"workers": 1, "size": size}}},
        restarts_pods=True,
        victims=victims,
    )


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 60.0) -> float:
    """Wait until each container was killed as out of memory; returns when that was seen, in seconds since the epoch."""
    return chaos_mesh.confirm_restarted(kube, env, entry, reason="OOMKilled", timeout_s=timeout_s)


def _limit(pod: Json, container: str) -> float:
    for each in pod["spec"]["containers"]:
        if each["name"] == container:
            text = ((each.get("resources") or {}).get("limits") or {}).get("memory")
            return amount(text) if text else 0.0
    return 0.0
