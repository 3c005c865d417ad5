"""Waiting until a Deployment has all its pods again."""

from __future__ import annotations

from muster.kube import Kube, KubeError
from muster.system import Environment
from muster.wait import wait_until
from muster.workload import read_workload


def await_whole(kube: Kube, env: Environment, namespace: str, deployment: str) -> str:
    """Wait, bounded by the rollback's time limit, until the Deployment is fully available; says so.

    Raises :class:`~muster.wait.TimedOut` with what is missing.
    """
    wait_until(
        lambda: read_workload(kube, namespace, deployment),
        lambda seen: not seen.shortfall() and len(seen.serving()) >= seen.wanted,
        what=f"deployment {deployment} was not fully available again",
        timeout_s=env.rollback.timeout_s,
        show=lambda seen: seen.shortfall() or f"{len(seen.serving())} of {seen.wanted} pods ready",
        tolerate=(KubeError,),
    )
    return f"deployment {deployment} is fully available"
