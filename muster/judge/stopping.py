"""When an experiment must be ended before its time: pure functions over what was seen so far.

A stop is not an objective that was missed; it is the promise that a drill does no more harm than was agreed to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from muster.system.fact import Fact, Ratio, Seconds
from muster.system.units import Unit, show
from muster.timeline import Kind, Timeline
from muster.verdict import Verdict


class StopConditions(Fact):
    """The budget of one experiment. ``over`` is real time at every time scale: it is people who wait."""

    user_errors_above: Ratio | None = None  # share of users' requests that failed; None: the environment's guard says
    over_s: Seconds = Field(5.0, alias="over", gt=0)


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why an experiment was ended. FAIL when it did harm, UNKNOWN when it merely could not go on."""

    verdict: Verdict
    reason: str


def users_suffer(timeline: Timeline, conditions: StopConditions, *, allowed: float) -> Stop | None:
    """FAIL when, since the fault, the last whole seconds' users saw more errors than the budget allows.

    ``allowed`` is the environment's budget, for an experiment that states none.
    """
    budget = allowed if conditions.user_errors_above is None else conditions.user_errors_above
    fault = timeline.first(Kind.FAULT_INJECTED)
    seconds = [event for event in timeline.of(Kind.TRAFFIC) if fault is not None and event.at >= fault.at]
    recent = [event for event in seconds if event.at > seconds[-1].at - conditions.over_s]
    requests = sum(int(event.data["requests"]) for event in recent)
    if not requests or seconds[-1].at - seconds[0].at + 1 < conditions.over_s:
        return None
    ratio = sum(int(event.data["errors"]) for event in recent) / requests
    if ratio <= budget:
        return None
    reason = (
        f"{show(ratio, Unit.RATIO)} of users' requests failed over the last {conditions.over_s:g} s, "
        f"and the drill's budget is {show(budget, Unit.RATIO)}"
    )
    return Stop(verdict=Verdict.FAIL, reason=reason)


def unrelated_alert(alerts: Iterable[Mapping[str, Any]], *, system: str, environment: str, quiet: bool) -> Stop | None:
    """The first critical alert that this experiment cannot have meant: of another place, or of this one if ``quiet``.

    A place is a system in one environment; an alert that names no environment is taken for this one's.
    ``alerts`` as Prometheus' ``/api/v1/alerts`` gives them. ``quiet`` is whether the experiment promises that nobody
    is paged; its promise is then broken (FAIL), while an incident elsewhere only takes the hands away (UNKNOWN).
    """
    for alert in alerts:
        labels = alert["labels"]
        if alert["state"] != "firing" or labels.get("severity") != "critical":
            continue
        name, of, where = labels["alertname"], labels.get("system", ""), labels.get("environment", environment)
        here = (of, where) == (system, environment)
        if here and quiet:
            return Stop(verdict=Verdict.FAIL, reason=f"{name} fires, and nobody was to be paged")
        if not here:
            told = f"of system {of}" if of else "which names no system"
            told += f" in {where}" if where != environment else ""
            return Stop(verdict=Verdict.UNKNOWN, reason=f"the critical alert {name}, {told}, fires: first things first")
    return None
