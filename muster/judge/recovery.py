"""The last link of a drill's chain: every check held again, and users were served again, at the same instant."""

from __future__ import annotations

from muster.judge.link import Link, since_injection
from muster.judge.objectives import Objectives
from muster.judge.served import View, view
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

_NAME = "recovery"


def recovery(timeline: Timeline, objectives: Objectives) -> Link:
    """The instant of it; where it was not seen, why. UNKNOWN where nobody knows, or it may be the machine's doing."""
    after = since_injection(timeline)
    healed = timeline.first(Kind.HEALED, after=after)
    if objectives.action == "by-hand" and healed:
        after, healed = healed.at, None  # what was steady before that was steady in spite of the fault
    recovered = timeline.first(Kind.RECOVERED, after=after)
    if recovered and healed and healed.at < recovered.at:
        return _missing("the steady state came back only after Muster had undone the fault itself", Verdict.FAIL)
    if recovered:
        users = view(timeline, recovered.at) if objectives.load is not None else None
        return Link(name=_NAME, event=recovered) if users is None or users.well else _not_served(users)
    last = _last(timeline, after)
    if last is None:
        return _missing("the steady state was never looked at again after the fault", Verdict.UNKNOWN)
    if last.data.get("verdict") in ("PASS", "WARN"):
        users = _in_the_end(timeline, healed) if objectives.load is not None else None
        if users is not None and not users.well:
            return _not_served(users)
        why = f"the steady state was seen again only after the drill had given up waiting for it: {last.message}"
        return _missing(why, Verdict.FAIL)
    verdict = Verdict.UNKNOWN if last.data.get("verdict") == "UNKNOWN" else Verdict.FAIL
    return _missing(f"the steady state was not seen again: {last.message}", verdict)


def _last(timeline: Timeline, after: float) -> Event | None:
    looks = [event for event in timeline.of(Kind.STEADY) if event.at >= after]
    return looks[-1] if looks else None


def _in_the_end(timeline: Timeline, healed: Event | None) -> View | None:
    """The users' view when the drill gave up waiting: before Muster undid the fault, else of the last seconds."""
    ends = [event.at + 1 for event in timeline.of(Kind.TRAFFIC) if healed is None or event.at + 1 <= healed.at]
    return view(timeline, ends[-1] if ends else float("-inf"))


def _not_served(users: View) -> Link:
    if users.well is None:
        return _missing(f"whether users were served again is not known: {users.said}", users.verdict)
    why = f"the checks held again, but users were not well: {users.said}"
    return _missing(f"{why}; but {users.machine}" if users.machine else why, users.verdict)


def _missing(why: str, verdict: Verdict) -> Link:
    return Link(name=_NAME, event=None, why=why, verdict=verdict)
