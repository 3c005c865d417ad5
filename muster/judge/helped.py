"""Whether a rollback helped: what the responder itself says of the alert's own condition after its proof.

A proof says that the old release serves again. That the users' trouble is over is another fact (``symptom.gone``), and
where the responder knows that it failed, it pages people (``escalated``): a drill that ends so has not passed.
"""

from __future__ import annotations

from muster.judge.link import Link, since_injection, source, unreadable
from muster.judge.objectives import Objectives
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

_NAME = "symptom"


def symptom(timeline: Timeline, objectives: Objectives) -> Link:
    """The symptom gone, by the responder's word; FAIL where it escalated this rollback, UNKNOWN where it is silent."""
    if escalated := _first(timeline, objectives.alert, Kind.ESCALATED):
        return _missing(f"the responder escalated the rollback: {escalated.message}", Verdict.FAIL)
    gone = _first(timeline, objectives.alert, Kind.SYMPTOM_GONE)
    if gone is None:
        responder = source(timeline, "responder")
        if not responder.readable:
            return unreadable(_NAME, "whether the symptom is gone is not known", responder)
        return _missing("the responder never said whether the symptom is gone", Verdict.UNKNOWN)
    verdict = Verdict(gone.data.get("verdict", "UNKNOWN"))
    if verdict is Verdict.PASS:
        return Link(name=_NAME, event=gone)
    said = "was not gone after the rollback" if verdict is Verdict.FAIL else "may not be gone"
    return _missing(f"the symptom {said}: {gone.message}", verdict)


def told(timeline: Timeline, alert: str) -> bool:
    """Whether the responder has had its say of the rollback over this alert."""
    return any(_first(timeline, alert, kind) for kind in (Kind.SYMPTOM_GONE, Kind.ESCALATED))


def _first(timeline: Timeline, alert: str, kind: Kind) -> Event | None:
    """The first such record of the rollback that the drill's alert led to; not of an earlier one that is still told."""
    after = since_injection(timeline)
    keys = {
        event.data["key"]
        for event in timeline.of(Kind.DECIDED)
        if event.at >= after and event.data.get("alert") == alert and event.data.get("key")
    }
    for event in timeline.of(kind):
        key, of = event.data.get("key"), event.data.get("alert", alert)
        if event.at >= after and (key in keys if keys and key else of == alert):
            return event
    return None


def _missing(why: str, verdict: Verdict) -> Link:
    return Link(name=_NAME, event=None, why=why, verdict=verdict)
