"""When requests are due: a rate that may change over time, turned into instants. Pure; same input, same instants.

A schedule is a list of phases, each with a rate that stays (constant) or changes evenly (ramp); steps and spikes are
phases in a row. With N(t) the number of requests due until t, the k-th is due at the t with N(t) = x(k). For ``even``
arrivals x(k) = k + 1/2; for ``poisson`` x is a sum of exponential gaps, which makes any such rate a Poisson process
(time rescaling: Cinlar, Introduction to Stochastic Processes, 1975). Nothing is taken from when a request was sent, so
one that was late delays no other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """So many seconds (``inf``: without end) in which the rate goes evenly from ``first`` to ``last`` requests/s."""

    duration_s: float
    first: float
    last: float

    def __post_init__(self) -> None:
        if not self.duration_s > 0 or min(self.first, self.last) < 0:
            raise ValueError(f"{self} is no phase: it needs a time, and rates that are not negative")
        if math.isinf(self.duration_s) and self.first != self.last:
            raise ValueError(f"{self} is no phase: a rate that changes needs an end")

    @property
    def requests(self) -> float:
        """How many are due in it (a real number)."""
        return self.duration_s * (self.first + self.last) / 2 if self.first + self.last else 0.0

    def when(self, number: float) -> float:
        """Seconds from the phase's begin until so many are due; ``0 <= number < requests``."""
        change = 0.0 if self.first == self.last else (self.last - self.first) / self.duration_s
        # Positive root of first*t + change*t*t/2 = number, in the form that does not cancel.
        inner = self.first * self.first + 2 * change * number
        return 2 * number / (self.first + math.sqrt(max(inner, 0.0))) if number else 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """``index`` of ``of`` equal shares: what one of several processes sends."""

    phases: Sequence[Phase]
    arrivals: str = "even"  # or poisson
    seed: int = 0
    index: int = 0
    of: int = 1

    @property
    def duration_s(self) -> float:
        """From the run's start to the end of the last phase."""
        return sum(phase.duration_s for phase in self.phases)

    def rate_at(self, elapsed_s: float) -> float:
        """Requests per second of all shares together at that time; 0 outside of the schedule."""
        for phase in self.phases:
            if 0 <= elapsed_s < phase.duration_s:
                change = 0.0 if phase.first == phase.last else (phase.last - phase.first) / phase.duration_s
                return phase.first + change * elapsed_s
            elapsed_s -= phase.duration_s
        return 0.0

    def due(self) -> Iterator[float]:
        """The instants of this share in ascending order, in seconds from the run's start."""
        numbers = self._numbers()
        number = next(numbers)
        begin = passed = 0.0
        for phase in self.phases:
            until = passed + phase.requests
            when, moved = phase.when, begin
            while number < until:
                yield moved + when(number - passed)
                number = next(numbers)
            passed, begin = until, begin + phase.duration_s

    def _numbers(self) -> Iterator[float]:
        """x(k) of this share: every ``of``-th of the even ones, or a Poisson process of its share of the rate."""
        if self.arrivals == "even":
            number = self.index + 0.5
            while True:
                yield number
                number += self.of
        if self.arrivals != "poisson":
            raise ValueError(f"arrivals are even or poisson, not {self.arrivals!r}")
        gap = random.Random(f"{self.seed}/{self.index}").expovariate  # noqa: S311 - no secret
        number, mean = 0.0, 1 / self.of
        while True:
            number += gap(mean)
            yield number


def kinds(weights: Sequence[int], seed: int = 0) -> Iterator[int]:
    """Which request is sent next, for ever: in each round every index as often as its weight says, in another order."""
    source = random.Random(f"{seed}/kinds")  # noqa: S311 - no secret
    divisor = math.gcd(*weights)
    round_ = [index for index, weight in enumerate(weights) for _ in range(weight // divisor)]
    while True:
        source.shuffle(round_)
        yield from round_
