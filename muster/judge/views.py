"""From a reading's JSON to the typed view that checks judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from muster.errors import Unknown
from muster.judge import (
    alerting,
    autoscaling,
    canary,
    dashboards,
    disruption,
    events,
    exposition,
    inside,
    logs,
    mesh,
    nodes,
    pods,
    pqc,
    quota,
    reach,
    replicas,
    rollout,
    routing,
    ruleset,
    services,
    targets,
)
from muster.judge.indicator import Indicator
from muster.judge.undeclared import Undeclared
from muster.snapshot import FailureKind, Snapshot
from muster.system.model import System
from muster.system.units import duration


def _per_replica(name: str, build: Callable[[str, Any], Any]) -> Callable[[Any], Any]:
    return lambda raw: replicas.Replicas(name, raw, build)


_VIEWS: dict[str, Callable[[Any], Any]] = {
    "deployment": rollout.deployment,
    "replicasets": rollout.replicasets,
    "pods": pods.pods,
    "events": events.events,
    "nodes": nodes.nodes,
    "quotas": quota.quotas,
    "autoscalers": autoscaling.autoscalers,
    "budgets": disruption.budgets,
    "services": services.services,
    "ingresses": services.ways,
    "logs": logs.logs,
    "modules": _per_replica("modules", lambda _, raw: inside.modules(raw)),
    "certificates": _per_replica("certificates", lambda _, raw: inside.folder(raw)),
    "health": _per_replica("health", lambda replica, raw: replicas.answer(f"/health of {replica}", raw)),
    "ingress_health": lambda raw: replicas.answer("/health through the ingress", raw),
    "pqc_status": _per_replica("pqc_status", pqc.pqc_status),
    "mesh_status": _per_replica("mesh_status", mesh.mesh_status),
    "mesh_peers": _per_replica("mesh_peers", mesh.mesh_view),
    "mesh_tls": _per_replica("mesh_tls", lambda _, raw: pqc.tls(raw)),
    "mesh_downgrade": _per_replica("mesh_downgrade", lambda _, raw: pqc.downgrade(raw)),
    "metrics": _per_replica("metrics", lambda _, raw: exposition.exposed(raw)),
    "prometheus_ready": reach.ready,
    "series": dict,
    "rule_series": dict,
    "buckets": dict,
    "metric_types": dict,
    "rules": ruleset.rules,
    "expected_rules": ruleset.expected_rules,
    "alerts": alerting.alerts,
    "alertmanagers": tuple,
    "routes": routing.routes,
    "silences": alerting.silences,
    "notified": alerting.held,
    "alertmanager_ready": reach.ready,
    "pagers": _per_replica("pagers", lambda _, raw: reach.reached(raw)),
    "responder": reach.ready,
    "canary": canary.canary,
    "canary_series": canary.canary_series,
    "grafana_health": dashboards.grafana,
    "dashboards": dashboards.dashboards,
    "panels": dashboards.panels,
}


def view(snapshot: Snapshot, name: str, system: System) -> Any:
    """The typed view of one reading; an :class:`~muster.judge.indicator.Indicator` where ``name`` is an SLO.

    Raises :class:`~muster.errors.Unknown` when the snapshot does not hold it or it failed, with the reason, and
    :class:`~muster.judge.undeclared.Undeclared` when the environment has no such source.
    """
    reading = snapshot.readings.get(name)
    if reading is None:
        raise Unknown(f"the snapshot holds no reading {name}")
    if reading.failure is not None:
        if reading.failure.kind is FailureKind.UNDECLARED:
            raise Undeclared(reading.failure.message)
        raise Unknown(f"{name}: {reading.failure.message}")
    try:
        if name in system.slo:
            return _indicator(snapshot, name, system)
        if name == "targets":
            return targets.targets(reading.value, leaving=_leaving(snapshot))
        return _VIEWS[name](_mine(snapshot, name, reading.value))
    except (KeyError, TypeError, AttributeError) as error:
        raise Unknown(f"{name}: the reading has not the shape it should have ({error!r})") from error


def _mine(snapshot: Snapshot, name: str, value: Any) -> Any:
    """Rules and alerts of this system and environment, where they say whose they are: one Prometheus serves many."""
    if name not in {"rules", "alerts", "notified"}:
        return value
    own = {"system": snapshot.system, "environment": snapshot.environment}
    return [entry for entry in value if all(entry["labels"].get(key, owner) == owner for key, owner in own.items())]


def _leaving(snapshot: Snapshot) -> frozenset[str]:
    """The pods that are being taken away, where the snapshot can tell: what is missing of them is no gap."""
    reading = snapshot.readings.get("pods")
    if reading is None or reading.failure is not None:
        return frozenset()
    return pods.leaving(reading.value, now=snapshot.taken_at)


def _indicator(snapshot: Snapshot, name: str, system: System) -> Indicator:
    raw, slo, gone = snapshot.readings[name].value, system.slo[name], _leaving(snapshot)
    excused = {gap for pod in gone for gap in raw.get("gaps_of", {}).get(pod, ())}
    return Indicator(
        name=name,
        label=f"{snapshot.system}/{snapshot.environment}",
        slo=slo,
        value=raw["value"],
        per_replica={pod: value for pod, value in sorted(raw["per_replica"].items()) if pod not in gone},
        over=_over(raw),
        gaps=tuple(gap for gap in raw["gaps"] if gap not in excused),
    )


def _over(raw: Mapping[str, Any]) -> str:
    """The window; where the value was not made by Prometheus, also how it was made."""
    window = duration(raw["window_s"]) if raw["window_s"] is not None else ""
    method = raw.get("method", "")
    return f"{window} ({method})" if window and method else window
