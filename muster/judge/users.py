"""What users felt of a drill: how many of their requests failed, and how slow the worst second was.

A request that the broken system let nobody send is one that failed: whoever is not served does not care why. Where the
machine may be what kept users waiting, such requests can still prove that a limit holds, but not that it is broken.
"""

from __future__ import annotations

from collections.abc import Iterable

from muster.judge.arrivals import Arrivals
from muster.judge.figures import errors_by_kind, traffic
from muster.judge.generator import DOUBTFUL
from muster.judge.link import since_injection, source
from muster.judge.measure import Measured
from muster.judge.objectives import Objectives
from muster.judge.outcome import Outcome
from muster.timeline import Timeline
from muster.verdict import Verdict


def felt(timeline: Timeline, measured: Measured, objectives: Objectives, arrived: Arrivals | None) -> Iterable[Outcome]:
    """The share of failed requests below its limit, and P95 above what must be felt for the fault to be one."""
    load = source(timeline, "load")
    why = "" if load.readable else f"the load generator failed ({load.error})"
    if objectives.user_errors_below is not None:
        yield _errors(timeline, measured, objectives.user_errors_below, arrived, why)
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


def _errors(timeline: Timeline, measured: Measured, limit: float, arrived: Arrivals | None, why: str) -> Outcome:
    name, ratio = "user_errors_below", measured.user_error_ratio
    if why or ratio is None:
        return _not_known(name, why, limit)
    requests, errors = measured.user_requests or 0, measured.user_errors or 0
    unsent = arrived.failed if arrived is not None else 0
    said = f"users: {errors} of {requests} requests failed"
    said += f" ({unsent} of them could not be sent)" if unsent else ""
    said += f", {ratio:.2%}"
    if arrived is None or not (arrived.doubt or arrived.busy):
        held = ratio < limit
        return _judged(name, f"{said} {_sign(held)} {limit:.2%}", held=held, measured=ratio, limit=limit)
    lost = arrived.unsent if arrived.doubt else 0  # not counted yet, and at worst the system's doing as well
    asked, worst, least = requests + lost, errors + lost, _certain(timeline, errors - unsent)
    if worst < limit * asked:
        more = f"; with the {lost} that were never sent {worst / asked:.2%}" if lost else ""
        return _judged(name, f"{said}{more} < {limit:.2%}", held=True, measured=ratio, limit=limit)
    if least >= limit * asked:
        return _judged(name, f"{said} >= {limit:.2%}", held=False, measured=ratio, limit=limit)
    message = f"{said}, and {lost} were never sent" if lost else said
    message += f", between {least / asked:.2%} and {worst / asked:.2%} by the system's doing (limit {limit:.2%}): "
    message += arrived.doubt or arrived.busy
    return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message, measured=ratio, limit=limit)


def _certain(timeline: Timeline, errors: int) -> int:
    """Of the requests that were sent and failed, those that a machine without a core left would not have seen."""
    kinds = errors_by_kind(traffic(timeline, since_injection(timeline)))
    return errors - sum(count for kind, count in kinds.items() if kind.startswith(DOUBTFUL))


def _sign(held: bool) -> str:
    return "<" if held else ">="


def _not_known(name: str, why: str, limit: float) -> Outcome:
    message = f"what users saw is not known: {why or 'no request was made after the fault'}"
    return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message, limit=limit)


def _judged(name: str, said: str, *, held: bool, measured: float, limit: float) -> Outcome:
    verdict = Verdict.PASS if held else Verdict.FAIL
    return Outcome(objective=name, verdict=verdict, message=said, measured=measured, limit=limit)
