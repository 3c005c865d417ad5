"""What a client may not choose: parts of a new or changed body that each kind sets or resets itself, in place."""

from __future__ import annotations

from typing import Any

from lab.api.defaults import quality_of_service

Body = dict[str, Any]


def nothing(body: Body, old: Body | None) -> None:
    """For kinds whose clients write everything."""


def pod(body: Body, old: Body | None) -> None:
    """A new pod is Pending and has the quality of service that its resources say."""
    if old is None:
        body["status"] = {"phase": "Pending", "qosClass": quality_of_service(body)}


def workload(body: Body, old: Body | None) -> None:
    """A new workload has an empty status."""
    if old is None:
        body["status"] = {}


def replicaset(body: Body, old: Body | None) -> None:
    """A new ReplicaSet has no replicas yet, and says so."""
    if old is None:
        body["status"] = {"replicas": 0}


def balanced(body: Body, old: Body | None) -> None:
    """A new Ingress or Service has no load balancer yet."""
    if old is None:
        body["status"] = {"loadBalancer": {}}


def service(body: Body, old: Body | None) -> None:
    """A Service keeps the addresses and node ports that it was given."""
    balanced(body, old)
    if old is None:
        return
    spec, before = body.get("spec") or {}, old.get("spec") or {}
    for name in ("clusterIP", "clusterIPs"):
        if before.get(name) and not spec.get(name):
            spec[name] = before[name]
    given = {(port.get("port"), port.get("protocol")): port.get("nodePort") for port in before.get("ports") or ()}
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        for port in spec.get("ports") or ():
            held = given.get((port.get("port"), port.get("protocol")))
            if held and not port.get("nodePort"):
                port["nodePort"] = held
