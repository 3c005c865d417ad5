"""What the catalogue has from the Kubernetes API: the workload, what surrounds it, what is inside its pods."""

from __future__ import annotations

from collections.abc import Callable

from muster.read import canary, cluster, inside, kubernetes, logs
from muster.read.session import Reader
from muster.system.environment import Environment

WORKLOAD = "kubernetes source"


def workload(environment: Environment) -> str:
    """The source of what is read of the workload's namespace, or "" without one."""
    source = environment.kubernetes
    return f"kubernetes {source.namespace}/{source.deployment}" if source else ""


def _in(what: str) -> Callable[[Environment], str]:
    return lambda environment: f"{workload(environment)} {what}" if environment.kubernetes else ""


def _exec(environment: Environment) -> str:
    source = environment.kubernetes
    return f"{workload(environment)} exec" if source and source.exec else ""


_PODS, _DEPLOYMENT = ("pods",), ("deployment",)
_MAY = "permission to run commands in its pods (kubernetes.exec)"

KUBERNETES = (
    Reader(name="deployment", read=kubernetes.read_deployment, source=workload, needs=WORKLOAD),
    Reader(name="replicasets", read=kubernetes.read_replicasets, source=workload, needs=WORKLOAD),
    Reader(name="pods", read=kubernetes.read_pods, source=workload, needs=WORKLOAD),
    Reader(name="events", read=cluster.read_events, source=_in("events"), needs=WORKLOAD),
    Reader(name="nodes", read=cluster.read_nodes, source=_in("nodes"), needs=WORKLOAD, after=_PODS),
    Reader(name="quotas", read=cluster.read_quotas, source=_in("quotas"), needs=WORKLOAD),
    Reader(name="autoscalers", read=cluster.read_autoscalers, source=_in("autoscalers"), needs=WORKLOAD),
    Reader(name="budgets", read=cluster.read_budgets, source=_in("budgets"), needs=WORKLOAD, after=_DEPLOYMENT),
    Reader(name="services", read=cluster.read_services, source=_in("services"), needs=WORKLOAD, after=_DEPLOYMENT),
    Reader(name="ingresses", read=cluster.read_ingresses, source=_in("ingresses"), needs=WORKLOAD, after=("services",)),
    Reader(
        name="canary",
        read=canary.read_canary,
        source=lambda environment: workload(environment) if environment.rollback.canary else "",
        needs="canary (rollback.canary)",
    ),
    Reader(name="logs", read=logs.read_logs, source=_in("logs"), needs=WORKLOAD, after=_PODS),
    Reader(
        name="modules", read=inside.read_modules, source=_exec, needs=_MAY, after=_PODS, deadline_s=inside.DEADLINE_S
    ),
    Reader(
        name="certificates",
        read=inside.read_certificates,
        source=_exec,
        needs=_MAY,
        after=_PODS,
        deadline_s=inside.DEADLINE_S,
    ),
)
