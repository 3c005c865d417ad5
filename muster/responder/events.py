"""A Kubernetes Event on the Deployment for each decision, where ``kubectl describe`` shows it."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Literal

from muster.kube import Kube
from muster.system.model import KubernetesSource

Reason = Literal[
    "RollingBack", "RolledBack", "RollbackRefused", "RollbackFailed", "SymptomGone", "SymptomStayed", "Escalated",
    "RemedyProposed", "RemedyRefused", "RemedyStarted", "RemedyDone", "RemedyFailed",
]  # fmt: skip
_WELL: tuple[Reason, ...] = (
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
        "involvedObject": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": source.deployment,
            "namespace": source.namespace,
        },
        "reason": reason,
        "message": message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…",
        "type": "Normal" if reason in _WELL else "Warning",
        "source": {"component": "muster-respond"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    kube.post(f"/api/v1/namespaces/{source.namespace}/events", event)
