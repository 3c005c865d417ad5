"""The columns that ``kubectl get`` shows for each kind: cells are computed here, by the server, as a real one does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lab.api import clock
from lab.api.podcells import pod_ready, pod_restarts, pod_status
from lab.api.selectors import labels_text, lookup

Cell = Callable[[dict[str, Any], datetime], Any]
NONE = "<none>"


@dataclass(frozen=True)
class Column:
    """One column; priority 1 shows with ``-o wide`` only."""

    name: str
    cell: Cell
    type: str = "string"
    format: str = ""
    priority: int = 0

    def definition(self) -> dict[str, Any]:
        """Its entry in a Table's columnDefinitions."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": "",
            "priority": self.priority,
        }


def at(path: str, absent: Any = "") -> Cell:
    """A cell with the value at a path."""

    def cell(body: dict[str, Any], _now: datetime) -> Any:
        value = lookup(body, path)
        return absent if value is None or value == "" else value

    return cell


def size(*paths: str) -> Cell:
    """A cell with the number of entries at some paths."""
    return lambda body, _now: sum(len(lookup(body, path) or ()) for path in paths)


def of(function: Callable[[dict[str, Any]], Any]) -> Cell:
    """A cell that does not depend on the time."""
    return lambda body, _now: function(body)


def wide(name: str, cell: Cell, kind: str = "string") -> Column:
    """A column of ``-o wide``."""
    return Column(name, cell, kind, priority=1)


NAME = Column("Name", at("metadata.name"), format="name")
AGE = Column("Age", lambda body, now: clock.since(lookup(body, "metadata.creationTimestamp"), now))
GENERIC = (NAME, AGE)


def _shorten(items: Iterable[str], limit: int = 3) -> str:
    listed = list(items)
    if not listed:
        return NONE
    more = len(listed) - limit
    return ",".join(listed[:limit]) + (f" + {more} more..." if more > 0 else "")


def _containers(key: str) -> Cell:
    path = "spec.template.spec.containers"
    return lambda body, _now: ",".join(str(one.get(key, "")) for one in lookup(body, path) or ())


def _selector(path: str) -> Cell:
    return lambda body, _now: labels_text(lookup(body, path)) or NONE


TEMPLATE = (
    wide("Containers", _containers("name")),
    wide("Images", _containers("image")),
    wide("Selector", _selector("spec.selector")),
)

PODS = (
    NAME,
    Column("Ready", of(pod_ready)),
    Column("Status", of(pod_status)),
    Column("Restarts", pod_restarts),
    AGE,
    wide("IP", at("status.podIP", NONE)),
    wide("Node", at("spec.nodeName", NONE)),
    wide("Nominated Node", at("status.nominatedNodeName", NONE)),
    wide("Readiness Gates", of(lambda _body: NONE)),
)

DEPLOYMENTS = (
    NAME,
    Column(
        "Ready",
        of(lambda body: f"{lookup(body, 'status.readyReplicas') or 0}/{lookup(body, 'spec.replicas') or 0}"),
    ),
    Column("Up-to-date", at("status.updatedReplicas", 0)),
    Column("Available", at("status.availableReplicas", 0)),
    AGE,
    *TEMPLATE,
)

REPLICASETS = (
    NAME,
    Column("Desired", at("spec.replicas", 0), "integer"),
    Column("Current", at("status.replicas", 0), "integer"),
    Column("Ready", at("status.readyReplicas", 0), "integer"),
    AGE,
    *TEMPLATE,
)


def _service_ports(body: dict[str, Any]) -> str:
    def text(port: dict[str, Any]) -> str:
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}"

    return ",".join(text(port) for port in lookup(body, "spec.ports") or ()) or NONE


def _external_ip(body: dict[str, Any]) -> str:
    kind = lookup(body, "spec.type")
    if kind == "ExternalName":
        return lookup(body, "spec.externalName") or NONE
    balancers = lookup(body, "status.loadBalancer.ingress") or ()
    addresses = [one.get("ip") or one.get("hostname", "") for one in balancers]
    addresses += lookup(body, "spec.externalIPs") or []
    return ",".join(addresses) or ("<pending>" if kind == "LoadBalancer" else NONE)


SERVICES = (
    NAME,
    Column("Type", at("spec.type")),
    Column("Cluster-IP", at("spec.clusterIP", NONE)),
    Column("External-IP", of(_external_ip)),
    Column("Port(s)", of(_service_ports)),
    AGE,
    wide(
        "Selector",
        of(lambda body: labels_text({"matchLabels": lookup(body, "spec.selector") or {}}) or NONE),
    ),
)


def _endpoints(body: dict[str, Any]) -> str:
    def every() -> Iterable[str]:
        for subset in body.get("subsets") or ():
            addresses = [one.get("ip", "") for one in subset.get("addresses") or ()]
            ports = subset.get("ports") or ()
            if not ports:
                yield from addresses
            for port in ports:
                yield from (f"{ip}:{port.get('port')}" for ip in addresses)

    return _shorten(every())


ENDPOINTS = (NAME, Column("Endpoints", of(_endpoints)), AGE)

ENDPOINTSLICES = (
    NAME,
    Column("AddressType", at("addressType")),
    Column(
        "Ports",
        of(
            lambda body: (
                _shorten(str(one.get("port", "*")) for one in body["ports"]) if body.get("ports") else "<unset>"
            )
        ),
    ),
    Column(
        "Endpoints",
        of(
            lambda body: (
                _shorten(ip for one in body["endpoints"] for ip in one.get("addresses") or ())
                if body.get("endpoints")
                else "<unset>"
            )
        ),
    ),
    AGE,
)


def _node_status(body: dict[str, Any]) -> str:
    ready = [one.get("status") for one in lookup(body, "status.conditions") or () if one.get("type") == "Ready"]
    text = "Unknown" if not ready else "Ready" if ready[0] == "True" else "NotReady"
    return text + (",SchedulingDisabled" if lookup(body, "spec.unschedulable") else "")


def _node_roles(body: dict[str, Any]) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = lookup(body, "metadata.labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or NONE


def _node_address(kind: str) -> Cell:
    def cell(body: dict[str, Any], _now: datetime) -> str:
        found = [one["address"] for one in lookup(body, "status.addresses") or () if one.get("type") == kind]
        return str(found[0]) if found else NONE

    return cell


def _node_kernel(body: dict[str, Any]) -> str:
    info = lookup(body, "status.nodeInfo") or {}
    kernel, machine = info.get("kernelVersion") or "<unknown>", info.get("architecture")
    return f"{kernel} ({machine})" if machine else kernel


NODES = (
    NAME,
    Column("Status", of(_node_status)),
    Column("Roles", of(_node_roles)),
    AGE,
    Column("Version", at("status.nodeInfo.kubeletVersion")),
    wide("Internal-IP", _node_address("InternalIP")),
    wide("External-IP", _node_address("ExternalIP")),
    wide("OS-Image", at("status.nodeInfo.osImage", "<unknown>")),
    wide("Kernel-Version", of(_node_kernel)),
    wide("Container-Runtime", at("status.nodeInfo.containerRuntimeVersion", "<unknown>")),
)


def _event_object(body: dict[str, Any]) -> str:
    target = body.get("involvedObject") or {}
    return f"{str(target.get('kind', '')).lower()}/{target.get('name', '')}"


def _event_source(body: dict[str, Any]) -> str:
    source = body.get("source") or {}
    component = source.get("component") or body.get("reportingComponent") or ""
    host = source.get("host") or body.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _event_last(body: dict[str, Any], now: datetime) -> str:
    last = lookup(body, "series.lastObservedTime") or body.get("lastTimestamp") or body.get("firstTimestamp")
    return clock.since(last or body.get("eventTime"), now)


EVENTS = (
    Column("Last Seen", _event_last),
    Column("Type", at("type")),
    Column("Reason", at("reason")),
    Column("Object", of(_event_object)),
    wide("Subobject", at("involvedObject.fieldPath")),
    wide("Source", of(_event_source)),
    Column("Message", of(lambda body: str(body.get("message", "")).strip())),
    wide("First Seen", lambda body, now: clock.since(body.get("firstTimestamp") or body.get("eventTime"), now)),
    wide("Count", of(lambda body: lookup(body, "series.count") or body.get("count") or 1)),
    Column("Name", at("metadata.name"), format="name", priority=1),
)

NAMESPACES = (NAME, Column("Status", at("status.phase")), AGE)
CONFIGMAPS = (NAME, Column("Data", size("data", "binaryData"), "integer"), AGE)
SECRETS = (NAME, Column("Type", at("type")), Column("Data", size("data"), "integer"), AGE)
SERVICEACCOUNTS = (NAME, Column("Secrets", size("secrets"), "integer"), AGE)
LEASES = (NAME, Column("Holder", at("spec.holderIdentity")), AGE)


def _ingress_hosts(body: dict[str, Any]) -> str:
    hosts = [one["host"] for one in lookup(body, "spec.rules") or () if one.get("host")]
    return _shorten(hosts) if hosts else "*"


def _ingress_address(body: dict[str, Any]) -> str:
    return ",".join(
        str(one.get("ip") or one.get("hostname") or "") for one in lookup(body, "status.loadBalancer.ingress") or ()
    )


INGRESSES = (
    NAME,
    Column("Class", at("spec.ingressClassName", NONE)),
    Column("Hosts", of(_ingress_hosts)),
    Column("Address", of(_ingress_address)),
    Column("Ports", of(lambda body: "80, 443" if lookup(body, "spec.tls") else "80")),
    AGE,
)

INGRESSCLASSES = (
    NAME,
    Column("Controller", at("spec.controller")),
    Column("Parameters", of(lambda body: lookup(body, "spec.parameters.name") or NONE)),
    AGE,
)
