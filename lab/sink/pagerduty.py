"""PagerDuty's Events API v2 as far as a sender can tell: what it accepts, and its words when it does not.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from lab.sink import notices
from lab.sink.inbox import Message

ACTIONS = ("trigger", "acknowledge", "resolve")
SEVERITIES = ("critical", "error", "warning", "info")


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure
    """The event is malformed; ``errors`` are PagerDuty's sentences."""

    def __init__(self, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)


def read_keys(folder: Path) -> dict[str, str]:
    """Routing key -> contact, from one file per contact. Read for each event: keys may be added while we run."""
    return {path.read_text().strip(): path.name for path in sorted(folder.glob("*")) if path.is_file()}


def accept(event: Any, keys: dict[str, str]) -> Message:
    """The message in an event. The routing key, a secret, does not get into it. Raises :class:`Refused`."""
    if not isinstance(event, dict):
        raise Refused("event is not a JSON object")
    errors = [*_errors(event)]
    contact = keys.get(str(event.get("routing_key", "")), "")
    if not contact:
        errors.append("'routing_key' is missing or not known")
    if errors:
        raise Refused(*errors)
    payload = event.get("payload") or {}
    body = {key: value for key, value in event.items() if key != "routing_key"}
    body.setdefault("dedup_key", uuid.uuid4().hex)
    return Message(
        received_at=time.time(),
        channel="pagerduty",
        to=contact,
        action=event["event_action"],
        alert=_alert(payload),
        summary=str(payload.get("summary", "")),
        body=body,
    )


def _errors(event: dict[str, Any]) -> list[str]:
    action = event.get("event_action")
    if action not in ACTIONS:
        return [f"'event_action' must be one of {', '.join(ACTIONS)}"]
    if action != "trigger":
        return [] if event.get("dedup_key") else [f"'dedup_key' is required to {action}"]
    payload = event.get("payload")
    if not isinstance(payload, dict):
        return ["'payload' is missing or not an object"]
    missing = [f"'payload.{key}' is missing or blank" for key in ("summary", "source") if not payload.get(key)]
    if payload.get("severity") not in SEVERITIES:
        missing.append(f"'payload.severity' must be one of {', '.join(SEVERITIES)}")
    return missing


def _alert(payload: dict[str, Any]) -> str:
    """The alert's name: said outright, or found in the details that Alertmanager's own templates write."""
    details = payload.get("custom_details") or {}
    if not isinstance(details, dict):
        details = {"text": details}
    named = details.get("alertname") or details.get("alert") or payload.get("class")
    if named:
        return str(named)
    return notices.alert(*map(str, (*details.values(), payload.get("summary", ""))))
