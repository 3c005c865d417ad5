"""Whether the symptom is gone: the alert's own condition, read back from Prometheus until it has not held for a while.

That the alert resolved proves nothing: an alert without data resolves too. So it is the value that counts, and no value
is UNKNOWN.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from muster.errors import Unknown
from muster.release.monitor import Monitor
from muster.system import Environment, System
from muster.system.model import Limit, Slo
from muster.system.promql import fill
from muster.system.units import show
from muster.verdict import Verdict
from muster.wait import TimedOut, wait_until

HELD = 4  # scrapes for which the condition must not hold, without a break
_PAUSE_S = 4.0  # between two looks at most: whoever holds a lock meanwhile must renew it
_ASK_S = 2.0  # for one answer of Prometheus


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What an alert stands on: its indicator and the rung of its ladder."""

    name: str
    slo: Slo
    limit: Limit


@dataclass(frozen=True, kw_only=True)
class Symptom:
    """What became of the symptom. PASS: gone. FAIL: still there. UNKNOWN: not read, or gone for too short a time."""

    verdict: Verdict
    message: str
    value: float | None
    took_s: float


def condition_of(system: System, alert: str) -> Condition | None:
    """The condition of an alert of the facts; None for a foreign one."""
    if alert not in system.alerts:
        return None
    slo = system.alerts[alert].slo
    return Condition(name=slo, slo=system.slo[slo], limit=system.limit_of(alert))


def patience_s(env: Environment) -> float:
    """The longest that the symptom may stay after the proof: what is set, and what no time scale divides."""
    return env.scaled(env.rollback.symptom_within_s) + env.discovery_s


def rhythm(env: Environment) -> tuple[float, int]:
    """Seconds between two looks, and how many looks in a row span :data:`HELD` scrapes."""
    scrape_s = env.scaled(env.scrape_interval_s)
    every_s = min(scrape_s, _PAUSE_S)
    return every_s, math.ceil(HELD * scrape_s / every_s) if every_s else HELD


def watch(
    monitor: Monitor, system: System, env: Environment, alert: str, *, tick: Callable[[], None] = lambda: None
) -> Symptom:
    """Look until the condition has not held for :data:`HELD` scrapes, at most :func:`patience_s` seconds.

    ``tick`` is called at each look, and what it raises ends the watch.
    """
    started = time.monotonic()
    condition = condition_of(system, alert)
    if condition is None:
        return _end(started, Verdict.UNKNOWN, f"{alert} is none of the facts' alerts, so its condition is not known")
    if not env.prometheus:
        why = f"environment {env.name} declares no Prometheus, so whether the symptom is gone is not known"
        return _end(started, Verdict.UNKNOWN, why)
    query, unit = fill(condition.slo.query, env, condition.slo.window), condition.slo.unit
    seen: list[float] = []  # the newest value, when the last look had one

    def _look() -> float:
        tick()
        seen.clear()
        seen.append(monitor.value(query, timeout_s=_ASK_S))
        return seen[0]

    every_s, looks = rhythm(env)
    limit = f"{condition.limit.operator} {show(condition.limit.bound, unit)}"
    try:
        value = wait_until(
            _look,
            lambda value: not condition.limit.holds(value),
            what=f"{condition.name} did not go back",
            timeout_s=patience_s(env),
            every_s=every_s,
            successes=looks,
            show=lambda value: f"{show(value, unit)} {limit}",
            tolerate=(Unknown,),
        )
    except TimedOut as error:
        if seen and condition.limit.holds(seen[0]):
            return _end(started, Verdict.FAIL, f"the symptom stayed: {error}", seen[0])
        return _end(started, Verdict.UNKNOWN, f"whether the symptom is gone is not known: {error}")
    took_s = time.monotonic() - started
    message = f"{condition.name} is {show(value, unit)}, no longer {limit}, {took_s:.1f}s after the proof"
    return Symptom(verdict=Verdict.PASS, message=message, value=value, took_s=took_s)


def no_longer(monitor: Monitor, system: System, env: Environment, alert: str) -> str:
    """That an alert's condition does not hold now, in a sentence; empty when it holds or cannot be known."""
    condition = condition_of(system, alert)
    if condition is None:
        return ""
    try:
        value = monitor.value(fill(condition.slo.query, env, condition.slo.window), timeout_s=_ASK_S)
    except Unknown:
        return ""
    if condition.limit.holds(value):
        return ""
    unit = condition.slo.unit
    bound = f"{condition.limit.operator} {show(condition.limit.bound, unit)}"
    return f"{condition.name} is {show(value, unit)} now, no longer {bound}"


def _end(started: float, verdict: Verdict, message: str, value: float | None = None) -> Symptom:
    return Symptom(verdict=verdict, message=message, value=value, took_s=time.monotonic() - started)
