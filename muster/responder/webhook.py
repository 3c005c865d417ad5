"""Alertmanager's webhook payload, version 4, as alerts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import MusterError
from muster.workload import epoch

MAX_ALERTS = 200  # of one payload; a storm is answered with a sentence, not with a queue


class MalformedError(MusterError):
    """The payload is not what Alertmanager sends."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert of a payload."""

    name: str
    status: str  # firing | resolved
    fingerprint: str
    starts_at: str  # as Alertmanager wrote it: part of the identity
    labels: Mapping[str, str]

    @property
    def key(self) -> str:
        """What makes it this occurrence of this alert: repeats and replays have the same."""
        return f"{self.fingerprint}@{self.starts_at}"

    @property
    def firing(self) -> bool:
        """Whether it asks for something."""
        return self.status == "firing"

    @property
    def action(self) -> str:
        """What the runbook wants done: rollback, restart, scale, escalate, none."""
        return self.labels.get("action", "none")

    @property
    def started(self) -> float:
        """When it began to fire, seconds since the epoch."""
        return epoch(self.starts_at)

    def record(self) -> dict[str, Any]:
        """As the audit keeps it; :func:`from_record` reads it back."""
        return {
            "key": self.key,
            "status": self.status,
            "fingerprint": self.fingerprint,
            "starts_at": self.starts_at,
            "labels": dict(self.labels),
        }


def parse(payload: Any) -> list[Alert]:
    """The alerts of a payload. Raises :class:`MalformedError`, in a sentence that says where."""
    if not isinstance(payload, dict) or payload.get("version") != "4":
        raise MalformedError("the body is not an Alertmanager webhook of version 4")
    alerts = payload.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        raise MalformedError("alerts is not a list with at least one alert")
    if len(alerts) > MAX_ALERTS:
        raise MalformedError(f"{len(alerts)} alerts in one webhook are more than {MAX_ALERTS}")
    return [_alert(item, f"alerts[{index}]") for index, item in enumerate(alerts)]


def from_record(data: Mapping[str, Any]) -> Alert:
    """The alert of an audit record. Raises :class:`MalformedError`."""
    return _alert({**data, "startsAt": data.get("starts_at")}, "the audit record")


def _alert(item: Any, where: str) -> Alert:
    if not isinstance(item, dict):
        raise MalformedError(f"{where} is not an object")
    labels = item.get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise MalformedError(f"{where}.labels is not an object of strings")
    if not labels.get("alertname"):
        raise MalformedError(f"{where}.labels has no alertname")
    if item.get("status") not in ("firing", "resolved"):
        raise MalformedError(f"{where}.status is neither firing nor resolved")
    fingerprint, starts_at = item.get("fingerprint"), item.get("startsAt")
    if not isinstance(fingerprint, str) or not fingerprint:
        raise MalformedError(f"{where} has no fingerprint")
    try:
        epoch(starts_at if isinstance(starts_at, str) and starts_at else "missing")
    except ValueError:
        raise MalformedError(f"{where}.startsAt is not an RFC 3339 time") from None
    return Alert(
        name=labels["alertname"],
        status=item["status"],
        fingerprint=fingerprint,
        starts_at=str(starts_at),
        labels=labels,
    )
