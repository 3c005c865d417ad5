"""For how long a fault could be seen: silence about it means something only where it was there long enough."""

from __future__ import annotations

from muster.judge.chain import visible
from muster.judge.link import since_injection
from muster.judge.objectives import Objectives
from muster.timeline import Event, Kind, Timeline


def lasted_s(timeline: Timeline, objectives: Objectives) -> float | None:
    """Seconds from when it could be measured to when it was over; None where its end is not known.

    Where a container must be killed the fault is what leads to that: it works from its injection until the kill.
    """
    end = ended(timeline, objectives)
    if end is None:
        return None
    return end.at - (since_injection(timeline) if objectives.killed else visible(timeline, objectives))


def ended(timeline: Timeline, objectives: Objectives) -> Event | None:
    """The first event that may have ended it: the undo, the rollback's begin, a kill, the end of the drill.

    What nobody undoes ends by itself, at the latest when the steady state is seen again.
    """
    after = since_injection(timeline)
    found = [timeline.first(Kind.HEALED, after=after), timeline.first(Kind.DRILL_ENDED, after=after)]
    if objectives.action == "rollback":
        found.append(timeline.first(Kind.ROLLBACK_STARTED, after=after))
    if objectives.action == "none":
        found.append(timeline.first(Kind.RECOVERED, after=after))
    if objectives.killed:
        found.append(timeline.first(Kind.CONTAINER_ENDED, after=after, reason=objectives.killed))
    return min(filter(None, found), key=lambda event: event.at, default=None)
