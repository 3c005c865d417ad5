"""Where a system bends: the highest step of a rising load that it holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muster.judge import generator
from muster.judge.seconds import LoadRun, LoadSecond, Step, latency, percentile_ms

KEPT = 0.99  # of what was offered in a step; a few seconds have blurred ends
BROKEN = 0.9  # less of what was offered: the system is beyond its knee, and not just at it
BROKEN_STEPS = 2  # in a row end the climb: what is measured beyond says nothing of where it bends


@dataclass(frozen=True, kw_only=True)
class Held:
    """One step. ``why`` says what did not hold, ``generator`` whether that was its own or its machine's doing."""

    rate: float
    achieved_rps: float
    p95_ms: float | None
    error_ratio: float
    why: str = ""
    generator: bool = False


@dataclass(frozen=True, kw_only=True)
class Knee:
    """``rate``: the highest step that held, all below it holding too; 0 if none did. ``beyond``: the step after it."""

    rate: float
    beyond: Held | None
    steps: Sequence[Held]

    @property
    def exact(self) -> bool:
        """Whether it was the system that gave way; otherwise the knee is at ``rate`` or higher."""
        return self.beyond is not None and not self.beyond.generator


def find(run: LoadRun, *, latency_limit_s: float, error_limit: float) -> Knee:
    """Judge each constant step of a run by itself; those that it never came to, having shown enough, are left out."""
    steps = [
        _held(run, step.first, seconds, latency_limit_s=latency_limit_s, error_limit=error_limit)
        for step, _, seconds in _steps(run)
        if seconds or not run.enough
    ]
    rate = 0.0
    for held in steps:
        if held.why:
            return Knee(rate=rate, beyond=held, steps=steps)
        rate = held.rate
    return Knee(rate=rate, beyond=None, steps=steps)


def broken(run: LoadRun) -> str:
    """Whether a climb that still runs is long over: a phrase that says why, or empty.

    It is when of so many whole steps in a row too little was answered as expected.
    """
    row: list[str] = []
    for step, end_s, seconds in _steps(run):
        if not seconds or run.scheduled[-1].at < run.began + end_s:  # it still runs
            break
        good, offered = sum(s.requests - s.errors for s in seconds), sum(s.offered for s in seconds)
        row = [*row, f"{step.first:,.0f}/s"] if good < BROKEN * offered else []
        if len(row) == BROKEN_STEPS:
            return f"the climb was ended: less than {BROKEN:.0%} of {' and of '.join(row)} was served"
    return ""


def _steps(run: LoadRun) -> Iterator[tuple[Step, float, list[LoadSecond]]]:
    """The constant steps after the warm-up, when they end, and their full seconds."""
    begin_s = 0.0
    for step in run.steps:
        end_s = begin_s + step.duration_s
        if step.first == step.last and begin_s >= run.warm_up_s:
            yield step, end_s, run.within(begin_s, end_s)
        begin_s = end_s


def _held(
    run: LoadRun, rate: float, seconds: Sequence[LoadSecond], *, latency_limit_s: float, error_limit: float
) -> Held:
    requests, errors = sum(s.requests for s in seconds), sum(s.errors for s in seconds)
    offered = sum(s.offered for s in seconds)
    achieved_rps = (requests - errors) / len(seconds) if seconds else 0.0
    p95_ms = percentile_ms(latency(seconds), 95)
    held = sum(s.held_dropped for s in seconds)  # as load.errors counts it: what nobody served has failed
    error_ratio = (errors + held) / (requests + held) if requests else 0.0
    why, own = "", False
    full = generator.machine_full(seconds, latency_limit_s=latency_limit_s)
    if doubts := generator.trouble(run, seconds, latency_limit_s=latency_limit_s):
        why, own = "; ".join([*([full] if full else []), f"the generator: {'; '.join(doubts)}"]), True
    elif p95_ms is None:
        why = "nothing was answered"
    elif error_ratio >= error_limit:
        why = f"{error_ratio:.2%} of the requests failed"
    elif p95_ms >= latency_limit_s * 1000:
        why, own = f"P95 {p95_ms:,.0f} ms{', but ' if full else ''}{full}", bool(full)
    elif requests < KEPT * offered:
        why = f"{requests / offered:.1%} of what was offered was answered{', but ' if full else ''}{full}"
        own = bool(full)
    return Held(rate=rate, achieved_rps=achieved_rps, p95_ms=p95_ms, error_ratio=error_ratio, why=why, generator=own)
