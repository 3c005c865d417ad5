"""Readings of what stands around the workload: events, nodes, quotas, autoscalers, budgets, Services, ingresses.

Each is cut down to what concerns the workload. Permissions: ``deploy/rbac/smoke.yaml``; nodes are the cluster's, and
whoever may not read them gets FORBIDDEN in the server's own words.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from muster.kube import KubeError
from muster.read.kubernetes import get, list_all, source_of
from muster.workload import epoch, selects

if TYPE_CHECKING:
    from muster.read.session import Session

Json = dict[str, Any]
Pods = list[Json]
LONGEST_MESSAGE = 400
AT_ONCE = 20  # single nodes asked for at the same time; more of them are cheaper as a list
_NOT_FOUND = 404


async def read_events(session: Session) -> list[Json]:
    """Warning events about the Deployment, its ReplicaSets and its pods, oldest first; times are epoch seconds."""
    source = source_of(session)
    path = f"/api/v1/namespaces/{source.namespace}/events"
    items = await list_all(session, path, fieldSelector="type=Warning")
    events = [_event(item) for item in items if _concerns(source.deployment, item["involvedObject"])]
    return sorted(events, key=lambda event: (event["last"], event["name"], event["reason"]))


def _concerns(deployment: str, about: Mapping[str, Any]) -> bool:
    """By name: an event may outlive what it is about. A ReplicaSet adds its hash, a pod five characters more."""
    tails = {"Deployment": "", "ReplicaSet": "-[a-z0-9]+", "Pod": "-[a-z0-9]+-[a-z0-9]{5}"}
    tail = tails.get(about.get("kind", ""))
    return tail is not None and re.fullmatch(re.escape(deployment) + tail, about.get("name", "")) is not None


def _event(item: Json) -> Json:
    series = item.get("series") or {}
    stamps = (
        item.get("lastTimestamp"),
        series.get("lastObservedTime"),
        item.get("eventTime"),
        item.get("firstTimestamp"),
    )
    return {
        "kind": item["involvedObject"]["kind"],
        "name": item["involvedObject"]["name"],
        "reason": item.get("reason", ""),
        "message": (item.get("message") or "")[:LONGEST_MESSAGE],
        "count": max(item.get("count") or 1, series.get("count") or 1),
        "last": max((epoch(stamp) for stamp in stamps if stamp), default=0.0),
    }


async def read_nodes(session: Session, pods: Pods) -> Json:
    """``{"total", "nodes"}``: how many nodes the cluster has, and those that carry a pod of the workload."""
    names = sorted({pod["node"] for pod in pods if pod["node"]})
    first = await get(session, "/api/v1/nodes", limit="1")
    total = len(first["items"]) + (first["metadata"].get("remainingItemCount") or 0)
    if len(names) > AT_ONCE:
        found = {item["metadata"]["name"]: item for item in await list_all(session, "/api/v1/nodes")}
        return {"total": len(found), "nodes": [_node(name, found.get(name)) for name in names]}
    return {"total": total, "nodes": await asyncio.gather(*(_one_node(session, name) for name in names))}


async def _one_node(session: Session, name: str) -> Json:
    try:
        return _node(name, await get(session, f"/api/v1/nodes/{name}"))
    except KubeError as error:
        if error.status != _NOT_FOUND:
            raise
        return _node(name, None)


def _node(name: str, item: Json | None) -> Json:
    """``exists`` is false for a node that was taken away while pods are still bound to it."""
    item = item or {}
    conditions = item.get("status", {}).get("conditions") or []
    return {
        "name": name,
        "exists": bool(item),
        "cordoned": bool(item.get("spec", {}).get("unschedulable")),
        "conditions": {entry["type"]: [entry["status"], entry.get("reason", "")] for entry in conditions},
    }


async def read_quotas(session: Session) -> list[Json]:
    """The namespace's ResourceQuotas by name: ``hard`` and ``used`` as quantities, ``scopes`` by name."""
    items = await list_all(session, f"/api/v1/namespaces/{source_of(session).namespace}/resourcequotas")
    return sorted((_quota(item) for item in items), key=lambda quota: str(quota["name"]))


def _quota(item: Json) -> Json:
    spec, status = item.get("spec", {}), item.get("status", {})
    chosen = (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return {
        "name": item["metadata"]["name"],
        "hard": status.get("hard") or spec.get("hard") or {},
        "used": status.get("used") or {},
        "scopes": [*(spec.get("scopes") or []), *(entry["scopeName"] for entry in chosen)],
    }


async def read_autoscalers(session: Session) -> list[Json]:
    """HorizontalPodAutoscalers that scale the Deployment, by name."""
    source = source_of(session)
    path = f"/apis/autoscaling/v2/namespaces/{source.namespace}/horizontalpodautoscalers"
    mine = ("Deployment", source.deployment)
    items = [
        item
        for item in await list_all(session, path)
        if (item["spec"]["scaleTargetRef"]["kind"], item["spec"]["scaleTargetRef"]["name"]) == mine
    ]
    return [
        {
            "name": item["metadata"]["name"],
            "least": item["spec"].get("minReplicas") or 1,
            "most": item["spec"]["maxReplicas"],
            "current": item.get("status", {}).get("currentReplicas") or 0,
            "desired": item.get("status", {}).get("desiredReplicas") or 0,
            "conditions": {
                entry["type"]: [entry["status"], entry.get("reason", ""), entry.get("message", "")[:LONGEST_MESSAGE]]
                for entry in item.get("status", {}).get("conditions") or []
            },
        }
        for item in sorted(items, key=lambda item: str(item["metadata"]["name"]))
    ]


async def read_budgets(session: Session, deployment: Json) -> list[Json]:
    """PodDisruptionBudgets that cover the workload's pods, by name; what the controller last counted of them."""
    items = await list_all(session, f"/apis/policy/v1/namespaces/{source_of(session).namespace}/poddisruptionbudgets")
    covering = (item for item in items if selects(item["spec"].get("selector"), deployment["labels"]))
    return [
        {
            "name": item["metadata"]["name"],
            "seen": item.get("status", {}).get("observedGeneration", 0) >= item["metadata"].get("generation", 0),
            "allowed": item.get("status", {}).get("disruptionsAllowed", 0),
            "expected": item.get("status", {}).get("expectedPods", 0),
            "healthy": item.get("status", {}).get("currentHealthy", 0),
            "needed": item.get("status", {}).get("desiredHealthy", 0),
        }
        for item in sorted(covering, key=lambda item: str(item["metadata"]["name"]))
    ]


async def read_services(session: Session, deployment: Json) -> list[Json]:
    """Services that select the workload's pods, with the pods that are their ready endpoints, by name."""
    namespace = source_of(session).namespace
    services, slices = await asyncio.gather(
        list_all(session, f"/api/v1/namespaces/{namespace}/services"),
        list_all(session, f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"),
    )
    mine = (item for item in services if _leads_to(item["spec"].get("selector"), deployment["labels"]))
    return [
        {
            "name": item["metadata"]["name"],
            "ports": [{"name": port.get("name", ""), "port": port["port"]} for port in item["spec"].get("ports") or []],
            "ready": sorted(_ready_pods(item["metadata"]["name"], slices)),
        }
        for item in sorted(mine, key=lambda item: str(item["metadata"]["name"]))
    ]


def _leads_to(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """A Service without a selector leads to whatever somebody wrote into its endpoints."""
    return bool(selector) and selects({"matchLabels": selector}, labels)


def _ready_pods(service: str, slices: Iterable[Json]) -> set[str]:
    return {
        (endpoint.get("targetRef") or {}).get("name", "")
        for entry in slices
        if (entry["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == service
        for endpoint in entry.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False  # absent means ready
    }


async def read_ingresses(session: Session, services: list[Json]) -> list[Json]:
    """Every way from an Ingress to one of the workload's Services: ``port`` is a name or a number."""
    items = await list_all(session, f"/apis/networking.k8s.io/v1/namespaces/{source_of(session).namespace}/ingresses")
    mine = {service["name"] for service in services}
    ways = (way for item in items for way in _ways(item))
    return sorted(
        (way for way in ways if way["service"] in mine), key=lambda way: (way["name"], way["host"], way["path"])
    )


def _ways(item: Json) -> Iterable[Json]:
    spec, balancer = item["spec"], item.get("status", {}).get("loadBalancer") or {}
    addresses = [at.get("ip") or at.get("hostname", "") for at in balancer.get("ingress") or []]
    backends = [("", "", spec["defaultBackend"])] if spec.get("defaultBackend") else []
    for rule in spec.get("rules") or []:
        paths = (rule.get("http") or {}).get("paths") or []
        backends += [(rule.get("host", ""), path.get("path", ""), path["backend"]) for path in paths]
    for host, path, backend in backends:
        if service := backend.get("service"):
            port = service.get("port") or {}
            yield {
                "name": item["metadata"]["name"],
                "class": spec.get("ingressClassName", ""),
                "host": host,
                "path": path,
                "service": service["name"],
                "port": port.get("name") or port.get("number") or "",
                "addresses": addresses,
            }
