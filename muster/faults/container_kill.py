"""The container's program is killed where it stands: a PodChaos of action container-kill; the kubelet restarts it."""

from __future__ import annotations

from muster.faults import chaos_mesh, guard
from muster.faults.chaos_mesh import NEEDS, heal
from muster.faults.intent import Intent
from muster.faults.ledger import Entry
from muster.kube import Kube
from muster.system import Environment

__all__ = ["KIND", "NEEDS", "confirm", "heal", "intend"]

KIND = "container_kill"


def intend(kube: Kube, env: Environment, *, how_many: str = "one", last_replica: bool = False) -> Intent:
    """Kill the system's container in ready pods; the pods stay, and their volumes. Arguments as in chaos_mesh."""
    return chaos_mesh.intend(
        kube,
        env,
        kind=KIND,
        object_kind="PodChaos",
        spec={"action": "container-kill", "containerNames": [guard.cluster_of(env).container]},
        how_many=how_many,
        last_replica=last_replica,
        restarts_pods=True,
        lasting=False,
    )


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 30.0) -> float:
    """Wait until each container was restarted; returns when that was seen, in seconds since the epoch."""
    return chaos_mesh.confirm_restarted(kube, env, entry, timeout_s=timeout_s)
