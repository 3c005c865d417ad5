"""When an experiment must be ended before its time: pure functions over what was seen so far.

A stop is not an objective that was missed; it is the promise that a drill does no more harm than was agreed to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from muster.system.fact import Fact, Ratio, Seconds
from muster.system.units import Unit, show
from muster.system.whose import is_ours
from muster.timeline import Kind, Timeline
from muster.verdict import Verdict


class StopConditions(Fact):
    """The budget of one experiment. ``over`` is real time at every time scale: it is people who wait."""

    user_errors_above: Ratio | None = None  # share of users' requests that failed; None: the environment's guard says
    over_s: Seconds = Field(5.0, alias="over", gt=0)
    no_answers_s: Seconds = Field(
        10.0, alias="no_answers", gt=0
    )  # users who get none for so long are not known to be well

    def budget(self, allowed: float) -> float:
        """The share of requests that may fail: the experiment's, else the environment's (``allowed``)."""
        return allowed if self.user_errors_above is None else self.user_errors_above


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why an experiment was ended. FAIL when it did harm, UNKNOWN when it merely could not go on."""

    verdict: Verdict
    reason: str


def users_suffer(timeline: Timeline, conditions: StopConditions, *, allowed: float) -> Stop | None:
    """FAIL when, since the fault, the last whole seconds' users saw more errors than the budget allows.

    ``allowed`` is the environment's budget, for an experiment that states none.
    """
    fault = timeline.first(Kind.FAULT_INJECTED)
    seconds = [event for event in timeline.of(Kind.TRAFFIC) if fault is not None and event.at >= fault.at]
    recent = [event for event in seconds if event.at > seconds[-1].at - conditions.over_s]
    requests = sum(int(event.data["requests"]) for event in recent)
    if not requests or seconds[-1].at - seconds[0].at + 1 < conditions.over_s:
        return None
    ratio = sum(int(event.data["errors"]) for event in recent) / requests
    return _over_budget(ratio, "{} of users' requests", conditions, allowed=allowed, over_s=conditions.over_s)


def everybody_suffers(ratio: float, conditions: StopConditions, *, allowed: float, over_s: float) -> Stop | None:
    """FAIL when over the last ``over_s`` seconds the service itself counted more errors than the budget allows."""
    return _over_budget(ratio, "by Prometheus, {} of all requests", conditions, allowed=allowed, over_s=over_s)


def _over_budget(ratio: float, said: str, conditions: StopConditions, *, allowed: float, over_s: float) -> Stop | None:
    budget = conditions.budget(allowed)
    if ratio <= budget:
        return None
    reason = (
        f"{said.format(show(ratio, Unit.RATIO))} failed over the last {over_s:g} s, "
        f"and the drill's budget is {show(budget, Unit.RATIO)}"
    )
    return Stop(verdict=Verdict.FAIL, reason=reason)


def users_unheard(timeline: Timeline, conditions: StopConditions, *, now: float) -> Stop | None:
    """UNKNOWN when, since the fault, no request of users was answered for longer than allowed, well or badly.

    A service that hangs fails no request, and a generator that hangs tells of none: neither is users who are well.
    """
    fault = timeline.first(Kind.FAULT_INJECTED)
    if fault is None:
        return None
    answered = [event.at + 1.0 for event in timeline.of(Kind.TRAFFIC) if int(event.data["requests"])]
    silent_s = now - max([fault.at, *answered[-1:]])
    if silent_s <= conditions.no_answers_s:
        return None
    reason = f"no request of users was answered for {silent_s:.1f} s, and no_answers is {conditions.no_answers_s:g} s"
    return Stop(verdict=Verdict.UNKNOWN, reason=reason)


def unrelated_alert(
    alerts: Iterable[Mapping[str, Any]],
    *,
    system: str,
    environment: str,
    broken: bool,
    quiet: bool,
    expected: Collection[str],
    names: Collection[str] = (),
    take_unlabelled: bool = False,
    exempt: Callable[[Mapping[str, str]], bool] = lambda _: False,
) -> Stop | None:
    """The first critical alert that this experiment cannot have meant: of another place, or one that it does not name.

    A place is a system in one environment (:func:`~muster.system.whose.is_ours`).

    Args:
        alerts: As Prometheus' ``/api/v1/alerts`` gives them.
        system: This place's.
        environment: This place's.
        broken: Whether the fault was injected; before, an alert of this place is the hypothesis' business.
        quiet: Whether the experiment promises that nobody is paged; its promise is then broken: FAIL.
        expected: The alerts of this place that may come with the fault. Another one means that something else broke,
            or more than was agreed to, and nobody can tell which: UNKNOWN, as for an incident elsewhere.
        names: What alerts of this system are called, for those whose labels name no system.
        take_unlabelled: Whether all that name no system are this place's.
        exempt: Whether an alert of another place, by its labels, is no reason to stop; this place's are not asked for.
    """
    for alert in alerts:
        labels = alert["labels"]
        if alert["state"] != "firing" or labels.get("severity") != "critical":
            continue
        name, of, where = labels["alertname"], labels.get("system", ""), labels.get("environment", environment)
        place = {"system": system, "environment": environment}
        if not is_ours(labels, **place, names=names, take_unlabelled=take_unlabelled):
            if exempt(labels):
                continue
            told = f"of system {of}" if of else "which names no system"
            told += f" in {where}" if where != environment else ""
            return Stop(verdict=Verdict.UNKNOWN, reason=f"the critical alert {name}, {told}, fires: first things first")
        if broken and quiet:
            return Stop(verdict=Verdict.FAIL, reason=f"{name} fires, and nobody was to be paged")
        if broken and name not in expected:
            reason = f"the critical alert {name} fires, and the experiment neither expects it nor names it in may_fire"
            return Stop(verdict=Verdict.UNKNOWN, reason=reason)
    return None
