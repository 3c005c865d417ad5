"""A load run as it was recorded, second by second, and what can be added up of it. Pure.

Percentiles are those of HDR histograms (within 0.1% of each measured value), merged over endpoints, seconds and
processes; an average of percentiles is none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

LONGEST_US, DIGITS = 120_000_000, 3  # as loadtests/recorder.py records them


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One endpoint in one second: counts, errors by kind, and histograms in microseconds, as base64."""

    requests: int
    errors: int
    kinds: Mapping[str, int]
    latency: str
    service: str


@dataclass(frozen=True, kw_only=True)
class LoadSecond:
    """One second of all load processes together. ``at`` is its start in whole seconds since the epoch.

    ``offered``: due. ``late``: sent late by the generator's own doing. ``dropped``: never sent, too long after they
    were due; ``held_dropped`` of them because the system had as many as it serves. ``users`` might ask at once. ``cpu``
    (share of one core), ``lag_ms`` and ``stalled_ms`` are of the busiest process, ``machine`` (share of all cores, busy
    with whatever) is of the busiest machine. ``reports`` of ``workers`` processes told.
    """

    at: int
    offered: int
    sent: int
    late: int
    dropped: int
    held: int
    held_dropped: int
    users: int
    cpu: float
    lag_ms: float
    stalled_ms: float
    exhausted: int
    workers: int
    reports: int
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    service_p95_ms: float | None
    waiting: int = 0
    machine: float = 0.0
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A part of the schedule: seconds, and the rate (requests/s) that it begins and ends with."""

    duration_s: float
    first: float
    last: float

    @property
    def requests(self) -> float:
        """How many are due in it."""
        return self.duration_s * (self.first + self.last) / 2


@dataclass(frozen=True, kw_only=True)
class LoadRun:
    """What was ordered and what was recorded. ``partial`` says why it ended before its schedule, if it did.

    ``enough`` says why it was ended before its schedule because it had shown what it was for.
    """

    steps: Sequence[Step]
    warm_up_s: float
    most_users: int
    workers: int
    seconds: Sequence[LoadSecond]
    partial: str = ""
    enough: str = ""

    @property
    def duration_s(self) -> float:
        """Of the schedule, warm-up included."""
        return sum(step.duration_s for step in self.steps)

    @property
    def peak(self) -> float:
        """The highest rate of the schedule, in requests/s."""
        return max(max(step.first, step.last) for step in self.steps)

    @cached_property
    def scheduled(self) -> list[LoadSecond]:
        """The seconds in which requests were due: the first is where the schedule began, the last may be cut."""
        due = [second.at for second in self.seconds if second.offered]
        return [second for second in self.seconds if due and due[0] <= second.at <= due[-1]]

    @property
    def began(self) -> int:
        """The epoch second in which the first request was due; 0 if none was."""
        return self.scheduled[0].at if self.scheduled else 0

    @cached_property
    def full(self) -> list[LoadSecond]:
        """Measured seconds for rates: after the warm-up, in full, within the schedule."""
        first = self.began + 1 + math.ceil(self.warm_up_s)
        return [second for second in self.scheduled[:-1] if second.at >= first]

    @cached_property
    def measured(self) -> list[LoadSecond]:
        """Measured seconds for errors and latencies: with those in which the last answers came."""
        first = self.began + 1 + math.ceil(self.warm_up_s)
        return [second for second in self.seconds if self.scheduled and second.at >= first]

    def asking(self, rate: float) -> list[LoadSecond]:
        """The full seconds in which, by the schedule, no less than this rate was due. What was counted may jitter."""
        parts: list[tuple[float, float]] = []
        for begin_s, end_s in self._above(rate):
            goes_on = bool(parts) and parts[-1][1] == begin_s
            parts.append((parts.pop()[0] if goes_on else begin_s, end_s))
        return [second for begin_s, end_s in parts for second in self.within(begin_s, end_s)]

    def _above(self, rate: float) -> Iterator[tuple[float, float]]:
        """Of each step, from when to when it asks for this rate or more, in seconds of the schedule."""
        begin_s = 0.0
        for step in self.steps:
            end_s = begin_s + step.duration_s
            low, high = sorted((step.first, step.last))
            if high >= rate:
                most_s = step.duration_s * ((high - rate) / (high - low) if low < rate else 1.0)
                yield (end_s - most_s, end_s) if step.last >= step.first else (begin_s, begin_s + most_s)
            begin_s = end_s

    def within(self, begin_s: float, end_s: float) -> list[LoadSecond]:
        """The full seconds of a part of the schedule, in seconds from its begin; the first is left out to settle."""
        return [s for s in self.full if s.at >= self.began + math.ceil(begin_s) + 2 and s.at + 1 <= self.began + end_s]


def latency(seconds: Iterable[LoadSecond], name: str | None = None) -> Any:
    """Histogram of the latencies from the intended time, of one endpoint or of all."""
    return merged(e.latency for s in seconds for n, e in s.endpoints.items() if name in (None, n))


def service(seconds: Iterable[LoadSecond], name: str | None = None) -> Any:
    """Histogram of the service times, from sending; what a closed loop would report."""
    return merged(e.service for s in seconds for n, e in s.endpoints.items() if name in (None, n))


def merged(encoded: Iterable[str]) -> Any:
    """One histogram of many."""
    from hdrh.histogram import HdrHistogram

    total = HdrHistogram(1, LONGEST_US, DIGITS)
    for text in encoded:
        total.add(HdrHistogram.decode(text))
    return total


def percentile_ms(found: Any, quantile: float, *, longer: int = 0) -> float | None:
    """By nearest rank, of such a histogram; None if nothing was measured.

    ``longer``: so many more took longer than any that was measured; None where the percentile is one of those.
    """
    count = found.get_total_count()
    # HdrHistogram itself rounds: of 12 values P95 were the 11th
    rank = max(1, math.ceil(quantile / 100 * (count + longer) - 1e-9))
    if rank > count:
        return None
    value: int = found.get_value_at_percentile(100 * rank / count)
    return round(value / 1000, 3)


def kinds(seconds: Iterable[LoadSecond]) -> Counter[str]:
    """Errors by kind, ``<class>: <sentence>``."""
    total: Counter[str] = Counter()
    for second in seconds:
        for endpoint in second.endpoints.values():
            total.update(endpoint.kinds)
    return total
