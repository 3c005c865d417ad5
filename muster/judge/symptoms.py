"""What a fault shows beside alerts: the checks that must fail while it is in force, and how containers end."""

from __future__ import annotations

from muster.judge.link import Link, since_injection, source, unreadable
from muster.judge.objectives import Objectives
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict


def finding(timeline: Timeline, objectives: Objectives) -> Link:
    """Every check that is expected to see the fault has failed with the words that were expected of it.

    A check that was looked at and held is FAIL; one that nobody looked at, that could not know, that was skipped or
    does not exist is UNKNOWN.
    """
    after, last = since_injection(timeline), None
    for check, words in objectives.finds.items():
        event = failed(timeline, check, words, after)
        if event is None:
            return _not_found(timeline, check, words, after)
        last = event if last is None or event.at > last.at else last
    return Link(name="finding", event=last)


def failed(timeline: Timeline, check: str, words: str, after: float) -> Event | None:
    """The first failure of this check at or after ``after`` whose sentence holds these words."""
    events = (event for event in timeline.of(Kind.CHECK_FAILED) if event.at >= after)
    return next((event for event in events if event.data.get("check") == check and words in event.message), None)


def _not_found(timeline: Timeline, check: str, words: str, after: float) -> Link:
    looks = [event for event in timeline.of(Kind.STEADY) if event.at >= after and "unknown" in event.data]
    said = [event.message for event in timeline.of(Kind.CHECK_FAILED) if event.data.get("check") == check]
    if said:
        why, verdict = f"{check} failed, but said nothing of {words!r}: {said[-1]}", Verdict.FAIL
    elif not looks:
        why, verdict = f"no check was looked at while the fault was in force, so {check} is not known", Verdict.UNKNOWN
    elif any(check in event.data["unknown"] for event in looks) or not any(event.data.get("judged") for event in looks):
        why, verdict = f"whether {check} sees the fault is not known: it could not be judged", Verdict.UNKNOWN
    elif not (held := [event for event in looks if check in event.data.get("asked", [])]):
        why = f"whether {check} sees the fault is not known: it was skipped, or there is no such check"
        verdict = Verdict.UNKNOWN
    else:
        why, verdict = f"{check} did not see the fault in {len(held)} looks", Verdict.FAIL
    return Link(name="finding", event=None, why=why, verdict=verdict)


def killed(timeline: Timeline, objectives: Objectives) -> Link:
    """A container of the workload ended for the expected reason, by the cluster's own word."""
    after = since_injection(timeline)
    event = timeline.first(Kind.CONTAINER_ENDED, after=after, reason=objectives.killed)
    if event:
        return Link(name="kill", event=event)
    cluster = source(timeline, "kubernetes")
    if not cluster.readable:
        return unreadable("kill", f"whether a container ended {objectives.killed} is not known", cluster)
    others = {str(event.data.get("reason")) for event in timeline.of(Kind.CONTAINER_ENDED) if event.at >= after}
    why = f"no container ended {objectives.killed}"
    why += f"; some ended {', '.join(sorted(others))}" if others else "; none ended at all"
    return Link(name="kill", event=None, why=why, verdict=Verdict.FAIL)
