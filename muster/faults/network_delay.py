"""What the pods send arrives late: a NetworkChaos of action delay."""

from __future__ import annotations

from typing import Any

from muster.faults import chaos_mesh
from muster.faults.chaos_mesh import NEEDS, confirm, heal
from muster.faults.intent import Intent
from muster.kube import Kube
from muster.system import Environment

__all__ = ["KIND", "NEEDS", "confirm", "heal", "intend"]

KIND = "network_delay"


def intend(
    kube: Kube,
    env: Environment,
    *,
    latency: str,
    jitter: str = "0ms",
    how_many: str = "one",
    last_replica: bool = False,
) -> Intent:
    """Delay what ready pods send by ``latency`` give or take ``jitter`` ("90ms"); the rest as in chaos_mesh."""
    spec: dict[str, Any] = {"action": "delay", "direction": "to", "delay": {"latency": latency, "jitter": jitter}}
    return chaos_mesh.intend(
        kube, env, kind=KIND, object_kind="NetworkChaos", spec=spec, how_many=how_many, last_replica=last_replica
    )
