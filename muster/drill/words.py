"""An event of a drill in one clause, as the terminal and the postmortem tell it."""

from __future__ import annotations

from muster.timeline import Event, Kind

WORDS: dict[Kind, str] = {  # {m}: the event's message, other names: of its data
    Kind.FAULT_INJECTED: "fault injected: {m}",
    Kind.FAULT_CONFIRMED: "confirmed: {m}",
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


class Fresh:
    """Called with each event, in order: whether it is news. Some facts are told by two sources, and are told once."""

    def __init__(self) -> None:
        self._told: set[tuple[Kind, str]] = set()

    def __call__(self, event: Event) -> bool:
        """False for what another source has told already; an alert that comes again may go again."""
        alert = str(event.data.get("alert"))
        same: tuple[Kind, str]
        match event.kind:
            case Kind.ALERT_PENDING | Kind.ALERT_FIRING:
                self._told.discard((Kind.ALERT_RESOLVED, alert))
                return True
            case Kind.ALERT_RESOLVED:
                same = (event.kind, alert)
            case Kind.TRAFFIC_OFF:
                same = (event.kind, "")
            case _:
                return True
        fresh = same not in self._told
        self._told.add(same)
        return fresh
