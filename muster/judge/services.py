"""The way to the replicas: Services with endpoints behind them, Ingresses that lead to those Services."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.pods import Pod
from muster.judge.undeclared import Undeclared
from muster.verdict import SLOWarning


@dataclass(frozen=True, kw_only=True)
class Service:
    """A Service that selects the workload's pods: its ports (name, number), and the pods that get its traffic."""

    name: str
    ports: tuple[tuple[str, int], ...]
    ready: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One path of an Ingress to such a Service; ``port`` is a name or a number."""

    name: str
    class_: str
    host: str
    path: str
    service: str
    port: str | int
    addresses: tuple[str, ...]


def services(raw: list[Mapping[str, Any]]) -> tuple[Service, ...]:
    """The typed view of the reading ``services``, by name."""
    return tuple(
        Service(
            name=entry["name"],
            ports=tuple((port["name"], port["port"]) for port in entry["ports"]),
            ready=frozenset(entry["ready"]),
        )
        for entry in raw
    )


def ways(raw: list[Mapping[str, Any]]) -> tuple[Way, ...]:
    """The typed view of the reading ``ingresses``."""
    return tuple(
        Way(
            class_=entry["class"],
            addresses=tuple(entry["addresses"]),
            **{key: entry[key] for key in ("name", "host", "path", "service", "port")},
        )
        for entry in raw
    )


def assert_every_ready_pod_gets_traffic(services: tuple[Service, ...], pods: tuple[Pod, ...]) -> None:
    """Some Service selects the pods, and every ready pod is an endpoint of each that does."""
    claim(bool(services), "no Service selects the pods of the deployment: nobody is led to them")
    ready = sorted(pod.name for pod in pods if pod.ready and not pod.terminating)
    for service in services:
        left_out = [name for name in ready if name not in service.ready]
        claim(not left_out, f"Service {service.name} leaves out pods that are ready: {', '.join(left_out)}")
        claim(bool(service.ready), f"Service {service.name} has no ready endpoint")
    if not ready:
        raise Unknown("no pod is ready, so it cannot be told whether Services find them")


def assert_ingress_leads_somewhere(ways: tuple[Way, ...], services: tuple[Service, ...]) -> None:
    """Every path of an Ingress to the workload names a port that its Service has, with an endpoint behind it."""
    if not ways:
        raise Undeclared("no Ingress leads to the deployment's Services")
    by_name = {service.name: service for service in services}
    for way in ways:
        service = by_name.get(way.service)
        if service is None:
            raise Unknown(f"Service {way.service}, which Ingress {way.name} leads to, was not read")
        label = f"Ingress {way.name} {way.host}{way.path}"
        known = {name for name, _ in service.ports if name} | {number for _, number in service.ports}
        claim(way.port in known, f"{label} leads to port {way.port}, which Service {way.service} does not have")
        claim(bool(service.ready), f"{label} leads to Service {way.service}, which has no ready endpoint")
        if not way.addresses:
            message = f"{label} has no address: does a controller serve its class {way.class_ or '(none)'}?"
            warnings.warn(message, SLOWarning, stacklevel=2)
