"""The catalogue of readings: name -> how it is taken. One per SLO of the system comes to those below."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from muster.errors import UsageError
from muster.read import alertmanager, prometheus, replicas
from muster.read.catalogue_kubernetes import KUBERNETES, WORKLOAD, workload
from muster.read.session import Reader, Session
from muster.system.model import Environment, Slo, System


def _pod_port(path: str) -> Callable[[Environment], str]:
    return lambda environment: f"{workload(environment)} {path}" if environment.kubernetes else ""


def _mesh_port(environment: Environment) -> str:
    source = environment.kubernetes
    return f"{workload(environment)} :{source.mesh_port}" if source and source.mesh_port else ""


_PROMETHEUS = "Prometheus"
_ALERTMANAGER = "Alertmanager"
_PODS = ("pods",)


def _from_prometheus(environment: Environment) -> str:
    return environment.prometheus


def _from_alertmanager(environment: Environment) -> str:
    return environment.alertmanager


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
    Reader(name="routes", read=alertmanager.read_routes, source=_from_alertmanager, needs=_ALERTMANAGER),
    Reader(name="notified", read=alertmanager.read_notified, source=_from_alertmanager, needs=_ALERTMANAGER),
    Reader(name="silences", read=alertmanager.read_silences, source=_from_alertmanager, needs=_ALERTMANAGER),
)


def catalogue(system: System) -> dict[str, Reader]:
    """Every reading of this system by name. Raises UsageError when an SLO takes the name of another reading."""
    readers = {reader.name: reader for reader in BUILT_IN}
    for name, slo in system.slo.items():
        if name in readers:
            raise UsageError(f"systems/{system.name}.yaml: slo.{name} has the name of a reading; call it differently")
        readers[name] = Reader(name=name, read=_slo_reader(slo), source=_from_prometheus, needs=_PROMETHEUS)
    return readers


def _slo_reader(slo: Slo) -> Callable[[Session], Any]:
    return partial(prometheus.read_slo, slo=slo)
