"""A Kubernetes Event on the Deployment for each decision, where ``kubectl describe`` shows it.

kubectl selects the Events of an object by its uid, so that those of a deleted one with the same name are not shown.
"""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Any, Literal

from muster.kube import Kube, KubeError
from muster.system.model import KubernetesSource
from muster.workload import deployment_path

Reason = Literal[
    "WouldRollBack", "RollingBack", "RolledBack", "RollbackRefused", "RollbackFailed", "SymptomGone", "SymptomStayed",
    "Escalated", "RemedyProposed", "RemedyRefused", "RemedyStarted", "RemedyDone", "RemedyFailed",
]  # fmt: skip
_WELL: tuple[Reason, ...] = (
    "WouldRollBack",
    "RollingBack",
    "RolledBack",
    "SymptomGone",
    "RemedyProposed",
    "RemedyStarted",
    "RemedyDone",
)
_LONGEST = 1024  # characters of a message; the API refuses more


def post_event(kube: Kube, source: KubernetesSource, reason: Reason, message: str) -> None:
    """Create it. Raises :class:`~muster.kube.KubeError`."""
    now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{source.deployment}.{uuid.uuid4().hex[:16]}", "namespace": source.namespace},
        "involvedObject": _involved(kube, source),
        "reason": reason,
        "message": message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…",
        "type": "Normal" if reason in _WELL else "Warning",
        "source": {"component": "muster-respond"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    kube.post(f"/api/v1/namespaces/{source.namespace}/events", event)


def _involved(kube: Kube, source: KubernetesSource) -> dict[str, Any]:
    """The Deployment as it is now. One that is gone, or may not be read, has its Event all the same: without a uid.

    Raises :class:`~muster.kube.KubeError` where the API does not answer: an Event would wait for it once more.
    """
    named = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": source.deployment,
        "namespace": source.namespace,
    }
    try:
        now = kube.get(deployment_path(source.namespace, source.deployment))["metadata"]
    except KubeError as error:
        if not error.status:
            raise
        return named
    return named | {"uid": now["uid"], "resourceVersion": now["resourceVersion"]}
