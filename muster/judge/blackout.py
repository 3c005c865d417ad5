"""What must be found when it is the watching itself that fails: nothing known, and the broken link named.

A drill that takes Prometheus or Alertmanager away cannot end in a page. It passes when Muster says that it does not
know what it cannot know, and says which link of the chain was missing, and why.
"""

from __future__ import annotations

from collections.abc import Iterable

from muster.judge.chain import broken
from muster.judge.link import Link
from muster.judge.objectives import Objectives
from muster.judge.outcome import Outcome
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict


def not_known(timeline: Timeline, objectives: Objectives) -> Iterable[Outcome]:
    """Each check that cannot know was looked at while the fault was in force, and was UNKNOWN in every look."""
    for check in objectives.unknown:
        name = f"unknown {check}"
        looks = [event for event in _looks_meanwhile(timeline) if check in event.data["asked"]]
        knew = [event for event in looks if check not in event.data["unknown"]]
        if not looks:
            message = f"{check} was not asked while the fault was in force, so what it says then is not known"
            yield Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
        elif knew:
            message = f"{check} gave a verdict in {len(knew)} of {len(looks)} looks, though it could not know"
            yield Outcome(objective=name, verdict=Verdict.FAIL, message=message)
        else:
            message = f"{check} said that it does not know, in {len(looks)} of {len(looks)} looks"
            yield Outcome(objective=name, verdict=Verdict.PASS, message=message)


def _looks_meanwhile(timeline: Timeline) -> list[Event]:
    """The looks at the checks from when the first fault was in force until something was undone."""
    confirmed = timeline.first(Kind.FAULT_CONFIRMED)
    if confirmed is None:
        return []
    undone = timeline.first(Kind.HEALED, after=confirmed.at)
    until = undone.at if undone else float("inf")
    return [event for event in timeline.of(Kind.STEADY) if confirmed.at <= event.at < until and "asked" in event.data]


def broken_as_expected(links: tuple[Link, ...], objectives: Objectives) -> Iterable[Outcome]:
    """The link that must be missing is, as the first of the chain, and the drill says why in the expected words."""
    first = broken(links)
    for link in links:
        if link.name not in objectives.breaks:
            continue
        name, words = f"breaks {link.name}", objectives.breaks[link.name]
        if link.event is not None:
            said = link.event.message or link.name
            message = f"the chain should have broken at the {link.name}, and held: {said}"
            yield Outcome(objective=name, verdict=Verdict.FAIL, message=message)
        elif first is not None and first is not link:
            message = f"the chain broke at the {first.name} already, so of the {link.name} nothing was proven"
            yield Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
        elif link.verdict is not Verdict.FAIL:
            yield Outcome(objective=name, verdict=link.verdict, message=link.why)
        elif words not in link.why:
            message = f"the chain broke at the {link.name}, but nothing was said of {words!r}: {link.why}"
            yield Outcome(objective=name, verdict=Verdict.FAIL, message=message)
        else:
            yield Outcome(objective=name, verdict=Verdict.PASS, message=f"the drill names the broken link: {link.why}")
