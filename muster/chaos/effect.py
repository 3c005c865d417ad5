"""Whether a release that was put out as a bad one did anything bad, by the indicator that its alert stands on.

That its pods run is all that the cluster knows. A service that does not understand the variables it is given serves on
as well as before; an alert that is silent then has missed nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import httpx

from muster.chaos.story import Story
from muster.errors import MusterError
from muster.judge.link import since_injection
from muster.system import Environment, System
from muster.system.promql import fill, of_canary, prom_duration
from muster.timeline import Event, Kind, Timeline

SOURCE = "effect"
RELEASES, CANARY = ("-bad_release-", "-bad_canary-"), "-bad_canary-"  # in the ids of faults that are releases
STEP_S = 1.0  # between two values at least


def tell_effect(story: Story, system: System, env: Environment, get: Callable[..., Any]) -> None:
    """Tell the worst value of the expected alert's indicator since a release's fault, unless it has shown itself.

    Args:
        story: What was recorded so far.
        system: The facts.
        env: Where.
        get: Asks Prometheus; raises httpx.HTTPError, MusterError or ValueError.
    """
    timeline = story.timeline()
    confirmed = timeline.first(Kind.FAULT_CONFIRMED)
    if confirmed is None or not any(kind in str(confirmed.data.get("fault")) for kind in RELEASES):
        return
    name = _expected(timeline)
    # That it was pending for a moment shows nothing: "down" is, at any rollout, until Prometheus knows the new pods.
    if _stalled(timeline, confirmed) or timeline.first(Kind.ALERT_FIRING, after=since_injection(timeline), alert=name):
        return
    effect: dict[str, Any] = {}
    if name in system.alerts:
        limit, facts = system.limit_of(name), system.slo[system.alerts[name].slo]
        effect = {"slo": system.alerts[name].slo, "bound": limit.bound, "above": limit.above is not None}
        effect["unit"] = facts.unit.value
        try:
            canary = CANARY in str(confirmed.data.get("fault"))
            if facts.reads_absence:
                effect["held_s"] = env.discovery_s
            effect["worst"] = _worst(facts.query, facts.window, env, confirmed, canary=canary, effect=effect, get=get)
        except (httpx.HTTPError, MusterError, ValueError, KeyError, TypeError) as error:
            effect["error"] = str(error) or type(error).__name__
    story.tell(Kind.NOTE, source=SOURCE, effect=effect)


def _worst(
    query: str,
    window_s: float,
    env: Environment,
    confirmed: Event,
    *,
    canary: bool,
    effect: dict[str, Any],
    get: Callable[..., Any],
) -> float | None:
    """Asked by the query of the facts, not of the loaded rules, which may be what is broken; None: no samples.

    Of an indicator that reads absence it is the worst that held for ``held_s``: at any rollout there is an absence for
    as long as Prometheus needs to find the new pods, and one that lasts no longer is none (as for its alert).
    """
    where = (of_canary(env) if canary else None) or env
    span_s = math.ceil(time.time() - confirmed.at) + 1
    step_s = max(STEP_S, env.scaled(env.evaluation_interval_s))
    worst, best = ("max_over_time", "min_over_time") if effect["above"] else ("min_over_time", "max_over_time")
    value, step = f"({fill(query, where, window_s)})", prom_duration(step_s)
    if "held_s" in effect:  # and a step, so that the first value and the last are no less than that apart
        value = f"{best}({value}[{prom_duration(effect['held_s'] + step_s)}:{step}])"
    asked = f"{worst}({value}[{span_s}s:{step}])"
    values = [float(sample["value"][1]) for sample in get("/api/v1/query", query=asked)["data"]["result"]]
    known = [value for value in values if math.isfinite(value)]
    return (max if effect["above"] else min)(known) if known else None


def _expected(timeline: Timeline) -> str:
    begun = timeline.first(Kind.DRILL_STARTED)
    return str((begun.data.get("expected") or {}).get("alert", "")) if begun is not None else ""


def _stalled(timeline: Timeline, confirmed: Event) -> bool:
    """Whether no pod of the release ever served: that it cannot is its effect, and was seen."""
    release = confirmed.data.get("hash")
    return bool(release) and timeline.first(Kind.POD_READY, hash=release) is None
