"""What users felt of a drill: how many of their requests failed, and how slow the worst second was."""

from __future__ import annotations

from collections.abc import Iterable

from muster.judge.link import source
from muster.judge.measure import Measured
from muster.judge.objectives import Objectives
from muster.judge.outcome import Outcome
from muster.timeline import Timeline
from muster.verdict import Verdict


def felt(timeline: Timeline, measured: Measured, objectives: Objectives) -> Iterable[Outcome]:
    """The share of failed requests below its limit, and P95 above what must be felt for the fault to be one."""
    load = source(timeline, "load")
    why = "" if load.readable else f"the load generator failed ({load.error})"
    limit = objectives.user_errors_below
    if limit is not None:
        ratio = measured.user_error_ratio
        name = "user_errors_below"
        if why or ratio is None:
            yield _not_known(name, why, limit)
        else:
            held = ratio < limit
            said = f"users: {measured.user_errors} of {measured.user_requests} requests failed, {ratio:.2%} "
            said += f"{'<' if held else '>='} {limit:.2%}"
            yield _judged(name, said, held=held, measured=ratio, limit=limit)
    least_s = objectives.user_p95_above_s
    if least_s is not None:
        p95_ms = measured.worst_p95_ms
        name = "user_p95_above"
        if why or p95_ms is None:
            yield _not_known(name, why, least_s)
        else:
            held = p95_ms > least_s * 1000
            said = f"users: the slowest second had a P95 of {p95_ms:.0f} ms "
            said += f"{'>' if held else '<='} {least_s * 1000:.0f} ms"
            yield _judged(name, said, held=held, measured=p95_ms / 1000, limit=least_s)


def _not_known(name: str, why: str, limit: float) -> Outcome:
    message = f"what users saw is not known: {why or 'no request was made after the fault'}"
    return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message, limit=limit)


def _judged(name: str, said: str, *, held: bool, measured: float, limit: float) -> Outcome:
    verdict = Verdict.PASS if held else Verdict.FAIL
    return Outcome(objective=name, verdict=verdict, message=said, measured=measured, limit=limit)
