"""Some pods and the others no longer hear each other: a NetworkChaos of action partition, between replicas only.

Users, Prometheus and probes still reach both sides: what breaks is the mesh.
"""

from __future__ import annotations

from typing import Any

from muster.errors import UsageError
from muster.faults import chaos_mesh
from muster.faults.chaos_mesh import NEEDS, confirm, heal
from muster.faults.intent import Intent
from muster.faults.victims import aim, ready_pods
from muster.kube import Kube
from muster.system import Environment

__all__ = ["KIND", "NEEDS", "confirm", "heal", "intend"]

KIND = "network_partition"


def intend(kube: Kube, env: Environment, *, how_many: str = "one") -> Intent:
    """Cut ready pods off from the other ready ones, in both directions. Raises UsageError when there are no others."""
    victims = aim(kube, env, how_many)
    others = [pod["metadata"]["name"] for pod in ready_pods(kube, env) if pod["metadata"]["name"] not in victims.names]
    if not others:
        raise UsageError("a partition has two sides, and no other ready pod is left for the second")
    namespace = victims.chosen[0]["metadata"]["namespace"]
    far_side = {"mode": "all", "selector": {"namespaces": [namespace], "pods": {namespace: sorted(others)}}}
    spec: dict[str, Any] = {"action": "partition", "direction": "both", "target": far_side}
    return chaos_mesh.intend(kube, env, kind=KIND, object_kind="NetworkChaos", spec=spec, victims=victims)
