"""Readings of the workload on its cluster, cut down to what is judged: no environment variables, hence no secrets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from muster.kube import Access, load_access, parse
from muster.read.failures import ReadError
from muster.snapshot import FailureKind
from muster.workload import HASH_LABEL, epoch, revision

if TYPE_CHECKING:
    from muster.read.session import Session
    from muster.system.model import KubernetesSource

PAGE = "500"


async def read_deployment(session: Session) -> dict[str, Any]:
    """Name, generations, revision, images and replica counts of the Deployment, with its conditions."""
    source = _source(session)
    body = await _get(session, f"/apis/apps/v1/namespaces/{source.namespace}/deployments/{source.deployment}")
    spec, status = body["spec"], body.get("status", {})
    return {
        "name": body["metadata"]["name"],
        "namespace": body["metadata"]["namespace"],
        "generation": body["metadata"].get("generation", 0),
        "observed_generation": status.get("observedGeneration", 0),
        "revision": revision(body),
        "paused": bool(spec.get("paused")),
        "images": _images(spec["template"]),
        "wanted": spec.get("replicas", 1),
        "replicas": status.get("replicas", 0),
        "updated": status.get("updatedReplicas", 0),
        "ready": status.get("readyReplicas", 0),
        "available": status.get("availableReplicas", 0),
        "conditions": [
            {key: condition.get(key, "") for key in ("type", "status", "reason", "message")}
            for condition in status.get("conditions") or []
        ],
    }


async def read_replicasets(session: Session) -> list[dict[str, Any]]:
    """The ReplicaSets that the Deployment owns, oldest revision first."""
    source = _source(session)
    items = await _list(session, f"/apis/apps/v1/namespaces/{source.namespace}/replicasets", source.selector)
    owned = [item for item in items if _owned_by(item, "Deployment", source.deployment)]
    return [
        {
            "name": item["metadata"]["name"],
            "revision": revision(item),
            "template_hash": _label(item, HASH_LABEL),
            "images": _images(item["spec"]["template"]),
            "wanted": item["spec"].get("replicas", 1),
            "ready": item.get("status", {}).get("readyReplicas", 0),
            "created": epoch(item["metadata"].get("creationTimestamp")),
        }
        for item in sorted(owned, key=revision)
    ]


async def read_pods(session: Session) -> list[dict[str, Any]]:
    """Every pod of the workload's selector, by name, terminating ones included (they say so)."""
    source = _source(session)
    items = await _list(session, f"/api/v1/namespaces/{source.namespace}/pods", source.selector)
    if not items:
        raise ReadError(FailureKind.EMPTY, f"no pod in {source.namespace} matches {source.selector}")
    return [_pod(item) for item in sorted(items, key=lambda item: str(item["metadata"]["name"]))]


def _pod(item: dict[str, Any]) -> dict[str, Any]:
    status = item.get("status", {})
    limits = {c["name"]: c.get("resources", {}).get("limits", {}) for c in item["spec"]["containers"]}
    return {
        "name": item["metadata"]["name"],
        "created": epoch(item["metadata"].get("creationTimestamp")),
        "terminating": bool(item["metadata"].get("deletionTimestamp")),
        "template_hash": _label(item, HASH_LABEL),
        "phase": status.get("phase", "Unknown"),
        "reason": status.get("reason", ""),
        "ip": status.get("podIP", ""),
        "node": item["spec"].get("nodeName", ""),
        "conditions": {c["type"]: c["status"] for c in status.get("conditions") or []},
        "containers": [_container(entry, limits) for entry in status.get("containerStatuses") or []],
    }


def _container(status: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated") or {}
    return {
        "name": status["name"],
        "image": status.get("image", ""),
        "image_id": status.get("imageID", ""),
        "ready": bool(status.get("ready")),
        "restarts": status.get("restartCount", 0),
        "waiting": waiting.get("reason", ""),
        "waiting_message": waiting.get("message", ""),
        "last_exit": {
            "code": ended.get("exitCode", 0),
            "reason": ended.get("reason", ""),
            "at": epoch(ended.get("finishedAt")),
        }
        if ended
        else None,
        "limits": limits.get(status["name"], {}),
    }


def _source(session: Session) -> KubernetesSource:
    source = session.environment.kubernetes
    assert source is not None  # noqa: S101 - a reader without a source is not run
    return source


async def _access(session: Session) -> Access:
    source = _source(session)

    async def load() -> Access:
        return await asyncio.to_thread(load_access, source.kubeconfig, source.context)

    return await session.shared("kubernetes access", load)


async def _get(session: Session, path: str, **params: str) -> dict[str, Any]:
    access = await _access(session)
    status, body = await session.http.get(
        access.server + path, params=params, headers=access.headers, verify=access.verify
    )
    return parse(httpx.Response(status, content=body), f"GET {path}")


async def _list(session: Session, path: str, selector: str) -> list[dict[str, Any]]:
    """All pages of a list. A page token that expired is a failed reading: half a list proves nothing."""
    items: list[dict[str, Any]] = []
    params = {"labelSelector": selector, "limit": PAGE}
    while True:
        body = await _get(session, path, **params)
        items += body["items"]
        token = body.get("metadata", {}).get("continue")
        if not token:
            return items
        params["continue"] = token


def _images(template: dict[str, Any]) -> list[str]:
    return [str(container["image"]) for container in template["spec"]["containers"]]


def _label(item: dict[str, Any], name: str) -> str:
    return str((item["metadata"].get("labels") or {}).get(name, ""))


def _owned_by(item: dict[str, Any], kind: str, name: str) -> bool:
    owners = item["metadata"].get("ownerReferences") or []
    return any(owner.get("kind") == kind and owner.get("name") == name for owner in owners)
