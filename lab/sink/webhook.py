"""Any JSON that is posted to a named webhook; what Alertmanager sends is understood, anything else kept as it is."""

from __future__ import annotations

import time
from typing import Any

from lab.sink.inbox import Message


def accept(name: str, body: dict[str, Any]) -> list[Message]:
    """One message per alert of an Alertmanager notification, or one for a body of another shape."""
    alerts = body.get("alerts")
    if not (isinstance(alerts, list) and alerts and all(isinstance(alert, dict) for alert in alerts)):
        return [_message(name, "trigger", str(body.get("alert", "")), str(body.get("text", "")), body)]
    return [
        _message(
            name,
            "resolve" if alert.get("status") == "resolved" else "trigger",
            str((alert.get("labels") or {}).get("alertname", "")),
            str((alert.get("annotations") or {}).get("summary", "")),
            {**body, "alerts": [alert]},
        )
        for alert in alerts
    ]


def _message(name: str, action: str, alert: str, summary: str, body: dict[str, Any]) -> Message:
    return Message(
        received_at=time.time(), channel="webhook", to=name, action=action, alert=alert, summary=summary, body=body
    )
