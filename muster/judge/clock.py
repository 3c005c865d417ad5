"""Clocks of other machines: how far they are from ours, and events put where they belong on ours.

An answer that says what time it is was written between our request and our receipt of it, so each answer bounds the
skew; the truth is in all of the bounds, and many answers together narrow it (as Cristian's algorithm and NTP do).
Pure functions; who asks is :mod:`muster.chaos.watch`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from muster.timeline import Clock, Event, Timeline

SECOND = 1.0  # the grain of HTTP's Date header


@dataclass(frozen=True, kw_only=True)
class Told:
    """A source's time as it told it, between when we asked and when we had its answer (seconds since the epoch).

    ``grain_s``: it may be this much later than it says, because it is cut to whole seconds.
    """

    asked_at: float
    time: float
    heard_at: float
    grain_s: float = 0.0

    @property
    def least_s(self) -> float:
        """The least skew with which this answer is possible."""
        return self.time - self.heard_at

    @property
    def most_s(self) -> float:
        """The most."""
        return self.time + self.grain_s - self.asked_at


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What is known of a skew: between these seconds, by answers of this grain; ``moved_s`` is how far it wandered."""

    least_s: float
    most_s: float
    grain_s: float
    moved_s: float = 0.0

    @property
    def clock(self) -> Clock:
        """The middle, and half of the width."""
        half = max(0.0, (self.most_s - self.least_s) / 2)
        return Clock(skew_s=(self.least_s + self.most_s) / 2, bound_s=half + self.moved_s)


def narrowed(known: Bounds | None, told: Told) -> Bounds:
    """What is known after one more answer. Finer answers replace coarser ones, which may come from another clock.

    An answer that contradicts those before it means that the clock was set or drifts: we go on from that answer, and
    the distance is a doubt about every event that the clock stamped.
    """
    fresh = Bounds(least_s=told.least_s, most_s=told.most_s, grain_s=told.grain_s)
    if known is None or told.grain_s < known.grain_s:
        return fresh
    if told.grain_s > known.grain_s:
        return known
    least, most = max(known.least_s, fresh.least_s), min(known.most_s, fresh.most_s)
    if least <= most:
        return replace(known, least_s=least, most_s=most)
    return replace(fresh, moved_s=known.moved_s + least - most)


def aligned(event: Event, clock: Clock | None) -> Event:
    """The event at our time: moved by the skew where that is more than its bound, so that noise moves nothing."""
    raw = float(event.data.get("raw_at", event.at))
    if clock is None or abs(clock.skew_s) <= clock.bound_s:
        return event if raw == event.at else replace(event, at=raw)
    return replace(event, at=raw - clock.skew_s, data={**event.data, "raw_at": raw})


def align(timeline: Timeline) -> Timeline:
    """The timeline with every event at our time, in order. Doing it again changes nothing."""
    events = (aligned(event, timeline.clocks.get(str(event.data.get("clock", "")))) for event in timeline.events)
    return replace(timeline, events=tuple(sorted(events, key=lambda event: event.at)))


def ours(at: float, clock: Clock | None) -> float:
    """A source's time as ours; unchanged where its skew is not known, or is no more than its bound."""
    return at if clock is None or abs(clock.skew_s) <= clock.bound_s else at - clock.skew_s


def theirs(at: float, clock: Clock | None) -> float:
    """Our time as the source's."""
    return at + (at - ours(at, clock))


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """By how much a duration may be wrong because of clocks; ``unknown`` names the clock of which nothing is known."""

    bound_s: float = 0.0
    unknown: str = ""


def doubt(timeline: Timeline, first: Event, last: Event) -> Doubt:
    """Of the time between two events. What one clock stamped at both ends is as exact as that clock runs."""
    names = [str(event.data.get("clock", "")) for event in (first, last)]
    if names[0] == names[1]:
        return Doubt()
    bound_s = 0.0
    for name in filter(None, names):
        clock = timeline.clocks.get(name)
        if clock is None:
            return Doubt(unknown=name)
        bound_s += max(clock.bound_s, 0.0)
    return Doubt(bound_s=bound_s)
