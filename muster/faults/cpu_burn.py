"""A neighbour burns CPU inside the pods' own limits: a StressChaos of CPU workers."""

from __future__ import annotations

from muster.faults import chaos_mesh, guard
from muster.faults.chaos_mesh import NEEDS, confirm, heal
from muster.faults.intent import Intent
from muster.kube import Kube
from muster.system import Environment

__all__ = ["KIND", "NEEDS", "confirm", "heal", "intend"]

KIND = "cpu_burn"


def intend(
    kube: Kube,
    env: Environment,
    *,
    workers: int = 1,
    load: int = 100,
    how_many: str = "one",
    last_replica: bool = False,
) -> Intent:
    """Run ``workers`` processes in ready pods, each at ``load`` percent of a core; the rest as in chaos_mesh."""
    return chaos_mesh.intend(
        kube,
        env,
        kind=KIND,
        object_kind="StressChaos",
        spec={
            "containerNames": [guard.cluster_of(env).container],
            "stressors": {"cpu": {"workers": workers, "load": load}},
        },
        how_many=how_many,
        last_replica=last_replica,
    )
