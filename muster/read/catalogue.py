"""The catalogue of readings: name -> how it is taken. One per SLO of the system comes to those below."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from muster.errors import UsageError
from muster.read import alertmanager, canary, grafana, metrics, prometheus, rates, reach, replicas, series
from muster.read.catalogue_kubernetes import KUBERNETES, WORKLOAD, workload
from muster.read.session import READING_DEADLINE_S, Reader
from muster.system.model import Environment, Slo, System
from muster.system.promql import of_canary


def _pod_port(path: str) -> Callable[[Environment], str]:
    return lambda environment: f"{workload(environment)} {path}" if environment.kubernetes else ""


def _mesh_port(environment: Environment) -> str:
    source = environment.kubernetes
    return f"{workload(environment)} :{source.mesh_port}" if source and source.mesh_port else ""


_PROMETHEUS = "Prometheus"
_ALERTMANAGER = "Alertmanager"
_GRAFANA = "Grafana"
_PODS = ("pods",)


def _from_prometheus(environment: Environment) -> str:
    return environment.prometheus


def _from_alertmanager(environment: Environment) -> str:
    return environment.alertmanager


def _from_grafana(environment: Environment) -> str:
    return environment.grafana


def _contacts(environment: Environment) -> str:
    return f"the pagers of {', '.join(environment.contacts)}" if environment.contacts else ""


BUILT_IN = (
    *KUBERNETES,
    Reader(name="health", read=replicas.read_health, source=_pod_port("/health"), needs=WORKLOAD, after=_PODS),
    Reader(
        name="pqc_status",
        read=replicas.read_pqc_status,
        source=_pod_port("/security/pqc/status"),
        needs=WORKLOAD,
        after=_PODS,
    ),
    Reader(
        name="mesh_status",
        read=replicas.read_mesh_status,
        source=_pod_port("/mesh/status"),
        needs=WORKLOAD,
        after=_PODS,
    ),
    Reader(
        name="mesh_peers", read=replicas.read_mesh_peers, source=_pod_port("/mesh/peers"), needs=WORKLOAD, after=_PODS
    ),
    Reader(name="mesh_tls", read=replicas.read_mesh_tls, source=_mesh_port, needs="mesh port", after=_PODS),
    Reader(name="mesh_downgrade", read=replicas.read_mesh_downgrade, source=_mesh_port, needs="mesh port", after=_PODS),
    Reader(name="metrics", read=metrics.read_metrics, source=_pod_port("/metrics"), needs=WORKLOAD, after=_PODS),
    Reader(
        name="ingress_health",
        read=replicas.read_ingress_health,
        source=lambda environment: environment.http,
        needs="way in over HTTP",
    ),
    Reader(name="targets", read=prometheus.read_targets, source=_from_prometheus, needs=_PROMETHEUS),
    Reader(name="rules", read=prometheus.read_rules, source=_from_prometheus, needs=_PROMETHEUS),
    Reader(name="alerts", read=prometheus.read_alerts, source=_from_prometheus, needs=_PROMETHEUS),
    Reader(name="alertmanagers", read=prometheus.read_alertmanagers, source=_from_prometheus, needs=_PROMETHEUS),
    Reader(name="prometheus_ready", read=series.read_prometheus_ready, source=_from_prometheus, needs=_PROMETHEUS),
    Reader(name="series", read=series.read_series, source=_from_prometheus, needs=_PROMETHEUS),
    Reader(
        name="rule_series", read=series.read_rule_series, source=_from_prometheus, needs=_PROMETHEUS, after=("rules",)
    ),
    Reader(
        name="canary_series",
        read=canary.read_canary_series,
        source=lambda environment: environment.prometheus if of_canary(environment) else "",
        needs="canary with series of its own (rollback.canary.metric_selector) and Prometheus",
    ),
    Reader(name="buckets", read=series.read_buckets, source=_from_prometheus, needs=_PROMETHEUS),
    Reader(name="metric_types", read=series.read_metric_types, source=_from_prometheus, needs=_PROMETHEUS),
    Reader(name="routes", read=alertmanager.read_routes, source=_from_alertmanager, needs=_ALERTMANAGER),
    Reader(name="notified", read=alertmanager.read_notified, source=_from_alertmanager, needs=_ALERTMANAGER),
    Reader(name="silences", read=alertmanager.read_silences, source=_from_alertmanager, needs=_ALERTMANAGER),
    Reader(
        name="alertmanager_ready",
        read=alertmanager.read_alertmanager_ready,
        source=_from_alertmanager,
        needs=_ALERTMANAGER,
    ),
    Reader(name="pagers", read=reach.read_pagers, source=_contacts, needs="contacts"),
    Reader(
        name="responder",
        read=reach.read_responder,
        source=lambda environment: environment.responder,
        needs="responder",
    ),
    Reader(name="grafana_health", read=grafana.read_grafana_health, source=_from_grafana, needs=_GRAFANA),
    Reader(name="dashboards", read=grafana.read_dashboards, source=_from_grafana, needs=_GRAFANA),
    Reader(name="panels", read=series.read_panels, source=_from_prometheus, needs=_PROMETHEUS, after=("dashboards",)),
)


def catalogue(system: System, environment: Environment | None = None) -> dict[str, Reader]:
    """Every reading of this system by name, as it is taken in this environment.

    Indicators come from Prometheus, and where none is declared from two looks at every replica's ``/metrics``. Raises
    UsageError when an SLO takes the name of another reading.
    """
    readers = {reader.name: reader for reader in BUILT_IN}
    for name, slo in system.slo.items():
        if name in readers:
            raise UsageError(f"systems/{system.name}.yaml: slo.{name} has the name of a reading; call it differently")
        readers[name] = _indicator(name, slo, environment)
    return readers


def _indicator(name: str, slo: Slo, environment: Environment | None) -> Reader:
    if environment is None or environment.prometheus or environment.kubernetes is None:
        read = partial(prometheus.read_slo, slo=slo)
        return Reader(name=name, read=read, source=_from_prometheus, needs=_PROMETHEUS)
    return Reader(
        name=name,
        read=partial(rates.read_slo, slo=slo),
        source=_two_looks,
        needs=_PROMETHEUS,
        after=_PODS,
        deadline_s=metrics.APART_S + READING_DEADLINE_S,
    )


def _two_looks(environment: Environment) -> str:
    return f"{workload(environment)} /metrics, twice {metrics.APART_S:g} s apart (no Prometheus is declared)"
