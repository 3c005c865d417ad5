"""Readings of the workload on its cluster, cut down to what is judged: no environment variables, hence no secrets.

Also how every other reader asks the Kubernetes API: :func:`get`, :func:`list_all`, :func:`text`, :func:`access_of`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from muster.kube import Access, load_access, parse_body
from muster.read.failures import ReadError
from muster.snapshot import FailureKind
from muster.workload import HASH_LABEL, epoch, first_revision, plain, revision, withdrawn

if TYPE_CHECKING:
    from muster.read.session import Session
    from muster.system.model import KubernetesSource

PAGE = "500"


async def read_deployment(session: Session) -> dict[str, Any]:
    """Generations, revision, labels of its pods, images, strategy, replica counts and conditions of the Deployment."""
    source = source_of(session)
    body = await get(session, f"/apis/apps/v1/namespaces/{source.namespace}/deployments/{source.deployment}")
    spec, status = body["spec"], body.get("status", {})
    return {
        "name": body["metadata"]["name"],
        "namespace": body["metadata"]["namespace"],
        "generation": body["metadata"].get("generation", 0),
        "observed_generation": status.get("observedGeneration", 0),
        "revision": revision(body),
        "paused": bool(spec.get("paused")),
        "labels": spec["template"].get("metadata", {}).get("labels") or {},
        "images": _images(spec["template"]),
        "containers": {c["name"]: c["image"] for c in spec["template"]["spec"]["containers"]},
        "strategy": _strategy(spec),
        "deadline_s": spec.get("progressDeadlineSeconds", 600),
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
    """The ReplicaSets that the Deployment owns, oldest revision first. ``build`` tells pod specs apart.

    ``first_revision`` is the number that it had first; ``withdrawn`` says which drill's bad release it was.
    """
    source = source_of(session)
    items = await list_all(session, f"/apis/apps/v1/namespaces/{source.namespace}/replicasets", source.selector)
    owned = [item for item in items if _owned_by(item, "Deployment", source.deployment)]
    return [
        {
            "name": item["metadata"]["name"],
            "revision": revision(item),
            "template_hash": _label(item, HASH_LABEL),
            "images": _images(item["spec"]["template"]),
            "build": _build(item["spec"]["template"]),
            "wanted": item["spec"].get("replicas", 1),
            "ready": item.get("status", {}).get("readyReplicas", 0),
            "created": epoch(item["metadata"].get("creationTimestamp")),
            "first_revision": first_revision(item),
            "withdrawn": withdrawn(item),
        }
        for item in sorted(owned, key=revision)
    ]


async def read_pods(session: Session) -> list[dict[str, Any]]:
    """Every pod of the workload's selector, by name, terminating ones included (they say so)."""
    source = source_of(session)
    items = await list_all(session, f"/api/v1/namespaces/{source.namespace}/pods", source.selector)
    if not items:
        raise ReadError(FailureKind.EMPTY, f"no pod in {source.namespace} matches {source.selector}")
    return [_pod(item, source.container) for item in sorted(items, key=lambda item: str(item["metadata"]["name"]))]


def _pod(item: dict[str, Any], main: str) -> dict[str, Any]:
    status = item.get("status", {})
    return {
        "name": item["metadata"]["name"],
        "created": epoch(item["metadata"].get("creationTimestamp")),
        "terminating": bool(item["metadata"].get("deletionTimestamp")),
        "leaves_by": epoch(item["metadata"].get("deletionTimestamp")),  # the end of its grace period; 0: it stays
        "template_hash": _label(item, HASH_LABEL),
        "phase": status.get("phase", "Unknown"),
        "reason": status.get("reason", ""),
        "ip": status.get("podIP", ""),
        "node": item["spec"].get("nodeName", ""),
        "conditions": {c["type"]: c["status"] for c in status.get("conditions") or []},
        "ready_since": next(
            (epoch(c.get("lastTransitionTime")) for c in status.get("conditions") or [] if _ready(c)), 0.0
        ),
        "containers": [_container(entry) for entry in status.get("containerStatuses") or []],
        "asks": [
            *_asks(item["spec"]["containers"], main),
            *_asks(item["spec"].get("initContainers") or [], main, True),
        ],
    }


def _container(status: dict[str, Any]) -> dict[str, Any]:
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated") or {}
    return {
        "name": status["name"],
        "image": status.get("image", ""),
        "image_id": status.get("imageID", ""),
        "ready": bool(status.get("ready")),
        "running": "running" in (status.get("state") or {}),
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
    }


def _ready(condition: dict[str, Any]) -> bool:
    return (condition["type"], condition["status"]) == ("Ready", "True")


def _asks(containers: list[dict[str, Any]], main: str, first: bool = False) -> list[dict[str, Any]]:
    """Image and resources that the pod's spec asks for; ``init`` ones run before the others, sidecars beside them."""
    return [
        {
            "name": container["name"],
            "image": container.get("image", ""),
            "main": container["name"] == main,
            "init": first and container.get("restartPolicy") != "Always",
            "requests": container.get("resources", {}).get("requests") or {},
            "limits": container.get("resources", {}).get("limits") or {},
        }
        for container in containers
    ]


def source_of(session: Session) -> KubernetesSource:
    """The environment's Kubernetes source; a reader is only run where there is one."""
    source = session.environment.kubernetes
    assert source is not None  # noqa: S101 - a reader without a source is not run
    return source


async def access_of(session: Session) -> Access:
    """Where the API is and how to authenticate, read once a run."""
    source = source_of(session)

    async def load() -> Access:
        return await asyncio.to_thread(load_access, source.kubeconfig, source.context)

    return await session.shared("kubernetes access", load)


async def get(session: Session, path: str, **params: str) -> dict[str, Any]:
    """One object, or one page of a list. Raises :class:`~muster.kube.KubeError` in the server's words."""
    status, body = await _ask(session, path, params)
    return parse_body(status, body, f"GET {path}")


async def text(session: Session, path: str, **params: str) -> bytes:
    """What is not JSON: a log. Raises :class:`~muster.kube.KubeError` in the server's words."""
    status, body = await _ask(session, path, params)
    if status != 200:
        parse_body(status, body, f"GET {path}")
        raise ReadError(FailureKind.HTTP_STATUS, f"Kubernetes API: GET {path} answered {status}")
    return body


async def list_all(session: Session, path: str, selector: str = "", **params: str) -> list[dict[str, Any]]:
    """All pages of a list. A page token that expired is a failed reading: half a list proves nothing."""
    items: list[dict[str, Any]] = []
    asked = {**params, **({"labelSelector": selector} if selector else {}), "limit": PAGE}
    while True:
        body = await get(session, path, **asked)
        items += body["items"]
        token = body.get("metadata", {}).get("continue")
        if not token:
            return items
        asked["continue"] = token


async def _ask(session: Session, path: str, params: dict[str, str]) -> tuple[int, bytes]:
    access = await access_of(session)
    return await session.http.get(access.server + path, params=params, headers=access.headers, verify=access.verify)


def _strategy(spec: dict[str, Any]) -> dict[str, Any]:
    """As written: ``max_surge`` and ``max_unavailable`` are numbers or percentages."""
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    return {
        "type": strategy.get("type", "RollingUpdate"),
        "max_surge": rolling.get("maxSurge", "25%"),
        "max_unavailable": rolling.get("maxUnavailable", "25%"),
    }


def _build(template: dict[str, Any]) -> str:
    """A digest of the pod spec: what differs only in annotations, such as a restart, is the same build."""
    canonical = json.dumps(plain(template.get("spec", {})), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _images(template: dict[str, Any]) -> list[str]:
    return [str(container["image"]) for container in template["spec"]["containers"]]


def _label(item: dict[str, Any], name: str) -> str:
    return str((item["metadata"].get("labels") or {}).get(name, ""))


def _owned_by(item: dict[str, Any], kind: str, name: str) -> bool:
    owners = item["metadata"].get("ownerReferences") or []
    return any(owner.get("kind") == kind and owner.get("name") == name for owner in owners)
