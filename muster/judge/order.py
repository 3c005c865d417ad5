"""Effects come after their causes: a link that is stamped before the one that it follows from proves neither."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from muster.judge.clock import doubt
from muster.judge.link import Link, source
from muster.timeline import Event, Timeline
from muster.verdict import Verdict

# Each link follows from this one. The first, an alert, follows from the injection: it is looked for from then on.
_CAUSE = {
    "page": "alert",
    "webhook": "alert",
    "decision": "webhook",
    "rollback": "decision",
    "proof": "rollback",
    "symptom": "proof",
}
SLACK_S = 0.25  # between stamps of clocks that agree; also what rounds them


def in_order(timeline: Timeline, links: tuple[Link, ...], *, but: Container[str]) -> tuple[Link, ...]:
    """The links; one that came before its cause, by more than clocks and looks leave in doubt, is missing and UNKNOWN.

    ``but``: links that may not have come at all, whenever that was.
    """
    events = {link.name: link.event for link in links}
    found = []
    for link in links:
        cause = "" if link.name in but else _CAUSE.get(link.name.partition(" ")[0], "")
        why = _before(timeline, link.event, events.get(cause), cause)
        found.append(replace(link, event=None, why=why, verdict=Verdict.UNKNOWN) if why else link)
    return tuple(found)


def _before(timeline: Timeline, effect: Event | None, cause: Event | None, name: str) -> str:
    if effect is None or cause is None:
        return ""
    doubtful = doubt(timeline, cause, effect)
    early_s = cause.at - effect.at
    if doubtful.unknown or early_s <= doubtful.bound_s + _looks_s(timeline, cause) + SLACK_S:
        return ""  # where a clock is not known, no duration is, and each says so
    said = effect.message or effect.kind.value
    return f"{said}: {early_s:.2f} s before the {name} that it should follow from, more than clocks leave in doubt"


def _looks_s(timeline: Timeline, event: Event) -> float:
    """How late this may be told: what a source's clock did not stamp happened since the look before."""
    return 0.0 if event.data.get("clock") else source(timeline, event.source).gap_s
