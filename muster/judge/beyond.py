"""What must not follow beside what must: a page to anybody who was not named, a second rollback after the first.

Nothing is waited for: what an alert that is still open might do is asked, and the sentence says until when was looked.
"""

from __future__ import annotations

from collections.abc import Iterable

from muster.judge.link import since_injection, source
from muster.judge.objectives import OTHER_PAGE, SECOND_ROLLBACK, Objectives
from muster.judge.outcome import Outcome
from muster.judge.silence import following, has_acted
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

_SOURCE = {OTHER_PAGE: "inbox", SECOND_ROLLBACK: "responder"}


def beyond(timeline: Timeline, objectives: Objectives) -> Iterable[Outcome]:
    """FAIL for what was seen; PASS where it could have been seen until the end, and no open alert might yet do it."""
    for what_not in (what for what in objectives.must_not if what in _SOURCE):
        seen = _others(timeline, objectives) if what_not == OTHER_PAGE else _rollbacks(timeline)[1:]
        verdict, message = _unseen(timeline, objectives, what_not)
        if seen:
            after = seen[0].at - since_injection(timeline)
            who = f"{seen[0].data.get('contact')} was paged" if what_not == OTHER_PAGE else "a second rollback followed"
            verdict, message = Verdict.FAIL, f"{who} {after:.2f} s after the fault, and must not have"
        yield Outcome(objective=f"must_not {what_not}", verdict=verdict, message=message)


def unsettled_beyond(timeline: Timeline, objectives: Objectives) -> list[str]:
    """Open alerts that could still do it, in words."""
    wanted = [what for what in objectives.must_not if what in _SOURCE]
    return [said for what_not in wanted for said in _might_yet(timeline, objectives, what_not)]


def _unseen(timeline: Timeline, objectives: Objectives, what_not: str) -> tuple[Verdict, str]:
    after, ended = since_injection(timeline), timeline.first(Kind.DRILL_ENDED)
    if after == float("inf"):
        return Verdict.UNKNOWN, "no fault was injected, so nothing was tested"
    for name in (_SOURCE[what_not], "prometheus"):
        if not (listened := source(timeline, name)).readable:
            return Verdict.UNKNOWN, f"whether it followed is not known: {name} could not be read ({listened.error})"
    if what_not == SECOND_ROLLBACK and not _rollbacks(timeline):
        return Verdict.UNKNOWN, "there was no first rollback"
    if waiting := _might_yet(timeline, objectives, what_not):
        return Verdict.UNKNOWN, f"the drill ended while {', '.join(waiting)}: it might yet have acted"
    until = f" until the drill's end, {ended.at - after:.1f} s after the fault" if ended else ""
    who = f"nobody but {', '.join(objectives.pages)} was paged" if what_not == OTHER_PAGE else "one rollback, no other"
    return Verdict.PASS, f"{who}{until}"


def _others(timeline: Timeline, objectives: Objectives) -> list[Event]:
    after = since_injection(timeline)
    pages = (event for event in timeline.of(Kind.PAGE_RECEIVED) if event.at >= after)
    return [event for event in pages if event.data.get("contact") not in objectives.pages]


def _rollbacks(timeline: Timeline) -> list[Event]:
    return [event for event in timeline.of(Kind.ROLLBACK_STARTED) if event.at >= since_injection(timeline)]


def _might_yet(timeline: Timeline, objectives: Objectives, what_not: str) -> list[str]:
    found = []
    for name, event in following(timeline).items():
        labels: dict[str, str] = event.data.get("labels") or {}
        told = set(filter(None, labels.get("tell", "").split(",")))
        if what_not == OTHER_PAGE:
            open_still = "tell" not in labels or not told <= {*objectives.pages}  # whom it tells is not said
        else:
            open_still = labels.get("action", "rollback") == "rollback" and not has_acted(timeline, event, "rollback")
        if open_still:
            found.append(f"{name} was still open")
    return found
