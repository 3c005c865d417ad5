"""An event of a drill in one clause, as the terminal and the postmortem tell it."""

from __future__ import annotations

from muster.timeline import Event, Kind

WORDS: dict[Kind, str] = {  # {m}: the event's message, other names: of its data
    Kind.FAULT_INJECTED: "fault injected: {m}",
    Kind.FAULT_CONFIRMED: "fault in force: {m}",
    Kind.ALERT_PENDING: "alert pending: {alert}",
    Kind.ALERT_FIRING: "alert firing: {alert}",
    Kind.ALERT_RESOLVED: "alert resolved: {alert}",
    Kind.PAGE_RECEIVED: "paged {contact}: {alert}",
    Kind.WEBHOOK_RECEIVED: "the responder received the webhook: {alert}",
    Kind.DECIDED: "decided: {m}",
    Kind.ROLLBACK_STARTED: "rolling back: {m}",
    Kind.TRAFFIC_OFF: "{m}",
    Kind.ROLLBACK_PROVEN: "proven {verdict}: {m}",
    Kind.SYMPTOM_GONE: "symptom gone {verdict}: {m}",
    Kind.ESCALATED: "escalated: {m}",
    Kind.REMEDY_STARTED: "remedy: {m}",
    Kind.REMEDY_PROVEN: "remedy {verdict}: {m}",
    Kind.CHECK_FAILED: "seen by the checks: {m}",
    Kind.CONTAINER_ENDED: "{m}",
    Kind.POD_READY: "{m}",
    Kind.POD_GONE: "{m}",
    Kind.RECOVERED: "recovered: {m}",
    Kind.HEALED: "healed: {m}",
}
HELD = ("PASS", "WARN")


def clause(event: Event) -> str:
    """What happened; empty for what is not worth a line (a second of users, a note of a source)."""
    if event.kind is Kind.STEADY:
        return f"{'steady' if event.data.get('verdict') in HELD else 'not steady'}: {event.message}"
    if event.kind is Kind.NOTE and event.source == "muster":
        return event.message
    words = WORDS.get(event.kind, "")
    return words.format_map({"alert": "", "contact": "", "verdict": "", **event.data, "m": event.message}).rstrip(": ")


def once(event: Event) -> tuple[str, ...] | None:
    """The same for the same fact told by two sources; None for what is told as often as it happens."""
    match event.kind:
        case Kind.TRAFFIC_OFF:
            return (event.kind.value,)
        case Kind.ALERT_RESOLVED:
            return (event.kind.value, str(event.data.get("alert")))
    return None
