"""Was the generator itself the bottleneck? Then a load run proves nothing of the system, and says so. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from muster.judge.seconds import LoadRun, LoadSecond

MOST_MISSED = 0.01  # of what was due: sent late by the generator's own doing, or not at all
SATURATED = 0.95  # of one core; an event loop runs on one
MOST_SATURATED = 0.05  # of the seconds
FULL = 0.95  # of all cores of its machine, busy with whatever
MOST_STALLED = 0.01  # of the time, in stalls over 50 ms
LEAST_OFFERED = 0.99  # of the schedule
ADVICE = "; run it on another machine (--listen), or offer less"  # for make load; a drill has neither
HELD = "no user was free to send it"  # the kind of error that a request is which the system let nobody send
# What a generator that stands still would see of a healthy system, too.
DOUBTFUL = (HELD, "AnswerTimeout", "ConnectTimeout", "NameNotResolved", "GeneratorExhausted")


def trouble(run: LoadRun, seconds: Sequence[LoadSecond], *, latency_limit_s: float | None) -> list[str]:
    """Why these seconds prove nothing, one phrase each; empty when the generator was well.

    ``latency_limit_s``: with as many users as this times the rate, all of them waiting means (Little's law) that the
    system takes longer than that on average: then it is the system's doing that nobody could send. With fewer it is,
    too, when more of them brought no more answers (``loadtests/concurrency.py``); what waited for users that would
    have brought some counts as late.
    """
    if not seconds:
        return ["no second was recorded"]
    found = [*_lost(seconds), *_missed(seconds), *saturated(seconds), *_stalled(seconds), *exhausted(seconds)]
    if any(second.held for second in seconds):
        found += too_few_users(run.most_users, run.peak, latency_limit_s=latency_limit_s)
    return found


def machine_full(seconds: Sequence[LoadSecond], *, latency_limit_s: float | None, advice: str = ADVICE) -> str:
    """Whether there was no CPU left where the generator runs while requests were slow or waited: a phrase, or empty.

    Then nobody knows whether the system was slow or had no core to run on, nor (on a machine that both share) whether
    the generator took it away. What was fast on a full machine is fast.
    """
    slow = [second for second in seconds if _slow(second, latency_limit_s)]
    full = [second for second in slow if second.machine >= FULL]
    if len(full) <= math.floor(MOST_SATURATED * len(seconds)) or 2 * len(full) < len(slow):
        return ""
    own = sum(second.cpu for second in full) / len(full)
    return (
        f"the machine was saturated: all cores were busy in {len(full)} of the {len(slow)} s in which requests were "
        f"slow, the generator with {own:.0%} of one{advice}"
    )


def _slow(second: LoadSecond, latency_limit_s: float | None) -> bool:
    over = latency_limit_s is not None and second.p95_ms is not None and second.p95_ms >= latency_limit_s * 1000
    return bool(over or second.late or second.dropped or second.held)


def missed_ratio(seconds: Sequence[LoadSecond]) -> float:
    """Share of what was due that was sent late by the generator's own doing, or never; 0 when nothing was due."""
    offered = sum(second.offered for second in seconds)
    return sum(second.late + second.dropped for second in seconds) / offered if offered else 0.0


def offered_all(run: LoadRun) -> str:
    """Whether the whole schedule was offered: empty, or a phrase that says what was. A run cut short is not judged."""
    planned = sum(step.requests for step in run.steps)
    offered = sum(second.offered for second in run.seconds)
    if run.partial or run.enough or offered >= LEAST_OFFERED * planned:
        return ""
    return f"only {offered:,} of {planned:,.0f} requests fell due in time"


def _lost(seconds: Sequence[LoadSecond]) -> list[str]:
    found = []
    silent = [second for second in seconds if second.reports < second.workers]
    if silent:
        first = silent[0]
        found.append(f"{first.workers - first.reports} of {first.workers} workers were lost")
    gaps = seconds[-1].at - seconds[0].at + 1 - len(seconds)
    if gaps > 0:
        found.append(f"{gaps} of its seconds are missing")
    return found


def _missed(seconds: Sequence[LoadSecond]) -> list[str]:
    offered = sum(second.offered for second in seconds)
    own = sum(second.late + second.dropped - second.held_dropped for second in seconds)
    if offered and own / offered > MOST_MISSED:
        return [f"it missed {own / offered:.2%} of its schedule"]
    return []


def _stalled(seconds: Sequence[LoadSecond]) -> list[str]:
    stalled_s = sum(second.stalled_ms for second in seconds) / 1000
    if stalled_s > MOST_STALLED * len(seconds):
        return [f"its event loop stood still for {stalled_s / len(seconds):.1%} of the time"]
    return []


def saturated(seconds: Sequence[LoadSecond]) -> list[str]:
    """Whether its core was busy in more than one second of twenty: one phrase, or none."""
    at_work = [second for second in seconds if second.offered or second.requests]  # not while it says goodbye
    busy = sum(second.cpu >= SATURATED for second in at_work)
    if busy > math.floor(MOST_SATURATED * len(at_work)):
        return [f"its core was saturated in {busy} of {len(at_work)} s (more workers share it)"]
    return []


def exhausted(seconds: Sequence[LoadSecond]) -> list[str]:
    """Whether its machine ran out of something but cores: one phrase, or none."""
    times = sum(second.exhausted for second in seconds)
    return [f"its machine ran out of descriptors, ports or buffers {times} times"] if times else []


def too_few_users(users: int, rate: float, *, latency_limit_s: float | None) -> list[str]:
    """Whether all of them can wait while the system answers as soon as it promises (Little's law)."""
    enough = latency_limit_s is not None and users >= latency_limit_s * rate - 1e-6
    return [] if enough else [f"its {users} users were too few for {rate:,.0f}/s"]
