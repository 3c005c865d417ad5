"""Are users served again? Their own view of the last full seconds, at one instant: a part of every recovery.

The limits are those over which the checks fail (``critical``, or ``rollback`` where that is lower; P95 from when a
request was *due*, and the share of requests that failed or could not be sent), so that users and checks cannot
disagree about what is well. The recording carries them (:func:`limits_of`), and a drill can be judged from its file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.judge import generator
from muster.judge.figures import seconds, traffic
from muster.judge.indicator import FAILING
from muster.system.model import System
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

LAST_S = 2  # full seconds that must be well, one after the other: an overloaded system has good ones, too
_SLACK_S = 0.05  # of the clocks that stamp the fault's end


def limits_of(system: System) -> dict[str, float]:
    """``p95_s`` and ``error_ratio``: at these a check of the system fails. What it does not promise is missing."""
    found = {}
    for key, name in (("p95_s", "latency_p95"), ("error_ratio", "error_ratio")):
        rungs = [system.slo[name].limit(level) for level in FAILING] if name in system.slo else []
        bounds = [rung.above for rung in rungs if rung is not None and rung.above is not None]
        if bounds:
            found[key] = min(bounds)
    return found


@dataclass(frozen=True, kw_only=True)
class View:
    """What users saw of the last full seconds before ``at``. ``well`` is None while nobody knows.

    ``said``: their view in numbers, or why it is not known. ``machine``: that all cores were busy while they were
    served badly, a phrase: then nobody knows why they were.
    """

    at: float
    well: bool | None
    said: str
    machine: str = ""

    @property
    def verdict(self) -> Verdict:
        """PASS when users are well, FAIL when they are not by the system's doing."""
        if self.well:
            return Verdict.PASS
        return Verdict.UNKNOWN if self.well is None or self.machine else Verdict.FAIL


def view(timeline: Timeline, at: float) -> View:
    """The users' view at an instant: the last seconds that had ended by then and began after the fault's end."""
    since = ended_at(timeline, until=at) - _SLACK_S
    told = traffic(timeline, max(since, at - LAST_S - 1), at - 1 + 1e-6)[-LAST_S:]
    if len(told) < LAST_S or told[-1].at - told[0].at > LAST_S - 0.5 or told[-1].at + 2 <= at:
        return View(at=at, well=None, said=f"the load generator told of no {LAST_S} full seconds after the fault's end")
    limits = _limits(timeline)
    bad = _bad(told, limits)
    if not bad:
        return View(at=at, well=True, said=_numbers(told))
    slow = generator.machine_full(seconds(timeline, since, at), latency_limit_s=limits.get("p95_s"), advice="")
    return View(at=at, well=False, said=f"{bad} in the last {LAST_S} s", machine=slow)


def soonest(timeline: Timeline, at: float) -> View:
    """The first instant from ``at`` on at which users are well; where there is none yet, their view at the last one."""
    ends = (event.at + 1 for event in timeline.of(Kind.TRAFFIC))
    found = view(timeline, at)
    for end in (end for end in ends if end > at):
        if found.well:
            break
        found = view(timeline, end)
    return found


def ended_at(timeline: Timeline, until: float = float("inf")) -> float:
    """When the fault ended, as far as something says so: the last fault, proven rollback or healing by then."""
    kinds = (Kind.FAULT_INJECTED, Kind.FAULT_CONFIRMED, Kind.ROLLBACK_PROVEN, Kind.HEALED)
    return max((event.at for event in timeline.of(*kinds) if event.at <= until), default=float("-inf"))


def ill_share(timeline: Timeline, since: float, until: float) -> float | None:
    """The share of the full seconds between two instants in which users were served badly; None where none was told."""
    told, limits = traffic(timeline, since, until - 1), _limits(timeline)
    return sum(bool(_bad([second], limits)) for second in told) / len(told) if told else None


def _limits(timeline: Timeline) -> Mapping[str, float]:
    begun = timeline.first(Kind.DRILL_STARTED)
    return begun.data.get("users_well", {}) if begun is not None else {}


def _bad(told: Sequence[Event], limits: Mapping[str, float]) -> str:
    """What of it breaks a limit; empty when nothing does. Nobody who is answered is badly served."""
    if any(not event.data["requests"] for event in told):
        return "no request of users was answered in a whole second"
    ratio, most = _ratio(told), limits.get("error_ratio")
    if most is not None and ratio > most:
        return f"{ratio:.2%} of users' requests failed or could not be sent (limit {most:.2%})"
    p95_ms, slowest_s = _p95(told), limits.get("p95_s")
    if slowest_s is not None and p95_ms > slowest_s * 1000:
        return f"users' P95 was {p95_ms:,.0f} ms from when requests were due (limit {slowest_s * 1000:,.0f} ms)"
    return ""


def _numbers(told: Sequence[Event]) -> str:
    requests = sum(int(event.data["requests"]) for event in told)
    return f"users: P95 {_p95(told):,.0f} ms, {_ratio(told):.2%} of {requests:,} requests failed in {LAST_S} s"


def _ratio(told: Sequence[Event]) -> float:
    failed = sum(int(event.data["errors"]) + _unsent(event.data) for event in told)
    asked = sum(int(event.data["requests"]) + _unsent(event.data) for event in told)
    return failed / asked if asked else 1.0


def _p95(told: Sequence[Event]) -> float:
    return max(float(event.data["p95_ms"] or 0.0) for event in told)


def _unsent(data: Mapping[str, Any]) -> int:
    return int(data.get("dropped", 0))
