"""What HAProxy should do, read from the API's objects: pure functions, no I/O.

The rules are those of networking.k8s.io/v1 (exact before prefix, prefixes by path element, the longest first, the
oldest ingress first), the canary annotations those of ingress-nginx. Every class is served: there is one way in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lab.ingress.haproxy import WHOLE
from lab.ingress.runtime import Endpoint

Object = dict[str, Any]
ANNOTATION = "nginx.ingress.kubernetes.io/"
_SAFE = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@%/-]+")  # what the runtime API takes as one word
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """The maps by name and, for each service that a rule leads to, its ready endpoints."""

    maps: dict[str, dict[str, str]]
    endpoints: dict[str, frozenset[Endpoint]]


@dataclass
class _Rule:
    key: str  # "<host><path>", and a slash after a prefix
    exact: bool
    service: str
    canary: str = ""
    weight: int = 0

    @property
    def name(self) -> str:
        return f"{'exact' if self.exact else 'prefix'}:{self.key}"


@dataclass
class _Cluster:
    """The objects, ready to be looked up."""

    services: dict[tuple[str, str], Object]
    slices: dict[tuple[str, str], list[Object]] = field(default_factory=dict)

    def service(self, namespace: str, backend: Object) -> str:
        """``namespace/name:port`` of an ingress backend, or "" (with the reason logged) when there is no such thing."""
        reference = backend.get("service") or {}
        name, port = reference.get("name", ""), reference.get("port") or {}
        service = self.services.get((namespace, name))
        if service is not None:
            for candidate in service["spec"].get("ports") or ():
                if candidate["port"] == port.get("number") or candidate.get("name", "") == port.get("name"):
                    return f"{namespace}/{name}:{candidate['port']}"
        log.debug("an ingress in %s leads to service %r port %s, which does not exist", namespace, name, port)
        return ""

    def endpoints(self, key: str) -> Iterator[Endpoint]:
        """The ready endpoints of ``namespace/name:port``."""
        namespace, _, rest = key.partition("/")
        name, _, number = rest.rpartition(":")
        ports = self.services[namespace, name]["spec"]["ports"]
        wanted = next(port.get("name") or "" for port in ports if port["port"] == int(number))
        for item in self.slices.get((namespace, name), ()):
            targets = [port["port"] for port in item.get("ports") or () if (port.get("name") or "") == wanted]
            for endpoint in item.get("endpoints") or ():
                conditions = endpoint.get("conditions") or {}
                if conditions.get("ready", True) is not False and not conditions.get("terminating"):
                    yield from (Endpoint(address, port) for address in endpoint["addresses"] for port in targets)


def wanted(ingresses: Iterable[Object], services: Iterable[Object], slices: Iterable[Object]) -> Wanted:
    """Derive what HAProxy should do. A canary of which no endpoint is ready gets no share, as with ingress-nginx."""
    cluster = _Cluster({_name(item): item for item in services})
    for item in slices:
        labels = item["metadata"].get("labels") or {}
        owner = (item["metadata"]["namespace"], labels.get("kubernetes.io/service-name", ""))
        cluster.slices.setdefault(owner, []).append(item)
    rules = list(_rules(ingresses, cluster).values())
    targets = {service for rule in rules for service in (rule.service, rule.canary) if service}
    endpoints = {service: frozenset(cluster.endpoints(service)) for service in sorted(targets)}
    canaries = [rule for rule in rules if rule.canary]
    return Wanted(
        maps={
            "exact.map": {rule.key: rule.name for rule in rules if rule.exact},
            "prefix.map": {rule.key: rule.name for rule in rules if not rule.exact},
            "stable.map": {rule.name: rule.service for rule in rules},
            "canary.map": {rule.name: rule.canary for rule in canaries},
            "weight.map": {rule.name: str(rule.weight if endpoints[rule.canary] else 0) for rule in canaries},
        },
        endpoints=endpoints,
    )


def _rules(ingresses: Iterable[Object], cluster: _Cluster) -> dict[str, _Rule]:
    rules: dict[str, _Rule] = {}
    by_age = sorted(ingresses, key=lambda item: (item["metadata"].get("creationTimestamp", ""), _name(item)))
    stable = [item for item in by_age if not _is_canary(item)]
    for ingress in stable:
        for rule in _paths(ingress, cluster):
            rules.setdefault(rule.name, rule)
    for ingress in stable:  # a default backend only takes what no rule of anybody takes
        for rule in _default(ingress, cluster):
            rules.setdefault(rule.name, rule)
    for ingress in filter(_is_canary, by_age):
        for rule in _paths(ingress, cluster):
            main = rules.get(rule.name)
            if main and not main.canary:
                main.canary, main.weight = rule.service, _weight(ingress)
    return rules


def _paths(ingress: Object, cluster: _Cluster) -> Iterator[_Rule]:
    for entry in ingress["spec"].get("rules") or ():
        host = (entry.get("host") or "*").lower()
        for path in (entry.get("http") or {}).get("paths") or ():
            exact, text = path.get("pathType") == "Exact", path.get("path") or "/"
            key = host + (text if exact else text.rstrip("/") + "/")
            service = cluster.service(ingress["metadata"]["namespace"], path["backend"])
            if not _SAFE.fullmatch(key):
                log.warning("ingress %s/%s: %r is not served: unusual characters", *_name(ingress), key)
            elif service:
                yield _Rule(key, exact, service)


def _default(ingress: Object, cluster: _Cluster) -> Iterator[_Rule]:
    backend = ingress["spec"].get("defaultBackend")
    if backend and (service := cluster.service(ingress["metadata"]["namespace"], backend)):
        yield _Rule("*/", exact=False, service=service)


def _is_canary(ingress: Object) -> bool:
    return (ingress["metadata"].get("annotations") or {}).get(f"{ANNOTATION}canary") == "true"


def _weight(ingress: Object) -> int:
    """The canary's share in :data:`WHOLE` parts; 0 when the annotations cannot be read."""
    annotations = ingress["metadata"]["annotations"]
    try:
        weight = int(annotations.get(f"{ANNOTATION}canary-weight", "0"))
        total = int(annotations.get(f"{ANNOTATION}canary-weight-total", "100"))
        return round(WHOLE * min(max(weight / total, 0.0), 1.0))
    except (ValueError, ZeroDivisionError):
        log.warning("ingress %s/%s: its canary weight cannot be read and counts as 0", *_name(ingress))
        return 0


def _name(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def detoured(plan: Wanted, detours: dict[str, str]) -> Wanted:
    """The same with other addresses, both ``address:port``: a network fault stands in front of those pods."""
    if not detours:
        return plan

    def way(endpoint: Endpoint) -> Endpoint:
        address, colon, port = detours.get(str(endpoint), "").rpartition(":")
        return Endpoint(address, int(port)) if colon else endpoint

    return Wanted(plan.maps, {service: frozenset(map(way, each)) for service, each in plan.endpoints.items()})
