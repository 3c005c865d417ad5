"""The moments of a drill that its picture marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from muster.timeline import Kind, Timeline

BLUE, RED, AMBER, GREEN, VIOLET = "#2563eb", "#dc2626", "#d97706", "#15803d", "#7c3aed"
_SAME_S = 0.5  # a fault that is in force so soon needs one mark


@dataclass(frozen=True)
class Mark:
    """One moment with its words."""

    at: float  # seconds after the fault
    text: str
    colour: str


def marks(timeline: Timeline, alert: str = "", page: str = "") -> list[Mark]:
    """The moments that tell the story of this alert and page (or of any), in order, each once."""
    injected = timeline.first(Kind.FAULT_INJECTED)
    if injected is None:
        return []
    zero, found = injected.at, [Mark(0.0, "fault injected", RED)]

    def add(kind: Kind, text: str, colour: str, **data: Any) -> None:
        event = timeline.first(kind, after=zero, **data)
        if event is not None:
            found.append(Mark(event.at - zero, f"{text} +{event.at - zero:.1f} s", colour))

    wanted = {"alert": alert} if alert else {}
    confirmed = timeline.first(Kind.FAULT_CONFIRMED, after=zero)
    if confirmed and confirmed.at - zero > _SAME_S:
        add(Kind.FAULT_CONFIRMED, "in force", RED)
    add(Kind.ALERT_FIRING, "alert firing", AMBER, **wanted)
    told = wanted | ({"contact": page} if page else {})
    paged = timeline.first(Kind.PAGE_RECEIVED, after=zero, **told)
    add(Kind.PAGE_RECEIVED, f"{paged.data.get('contact', '')} paged" if paged else "", AMBER, **told)
    add(Kind.ROLLBACK_STARTED, "rollback", BLUE)
    add(Kind.TRAFFIC_OFF, "bad release off", BLUE)
    add(Kind.ROLLBACK_PROVEN, "proven", VIOLET, verdict="PASS")
    if not alert:
        add(Kind.POD_READY, "pod replaced", BLUE)
    add(Kind.RECOVERED, "recovered", GREEN)
    healed = timeline.first(Kind.HEALED, after=zero)
    if healed and not timeline.first(Kind.RECOVERED, after=zero):
        found.append(Mark(healed.at - zero, f"healed by Muster +{healed.at - zero:.1f} s", VIOLET))
    return sorted(found, key=lambda mark: mark.at)
