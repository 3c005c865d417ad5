"""What Prometheus measured of the system while an experiment ran: the values that its alerts' rules stand on.

Recorded at the end, so that the judge of silence can tell an indicator that stayed well from one that nobody measured.
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

import httpx

from muster.chaos.story import Story
from muster.errors import MusterError
from muster.judge.clock import ours
from muster.judge.objectives import Objectives, may_act
from muster.rules import predict
from muster.rules.names import identity, record
from muster.system import Environment, System
from muster.system.units import Unit
from muster.timeline import Kind
from muster.trust import bearer, trust_of

WITHIN_S = 2.0  # for the one answer
DELIVERY_S = 1.0  # from Prometheus to Alertmanager, once a rule has fired
SOURCE = "indicators"


def facts_of(objectives: Objectives, system: System, env: Environment) -> dict[str, dict[str, dict[str, object]]]:
    """What must not follow -> each alert that might do it -> what tells whether it had a chance (``judge.proof``)."""
    return {
        what: {name: _facts(name, system, env) for name in names} for what, names in may_act(objectives, system).items()
    }


def _facts(name: str, system: System, env: Environment) -> dict[str, object]:
    slo, limit = system.slo[system.alerts[name].slo], system.limit_of(name)
    predicted = predict.detection(system, env, name)
    return {
        "slo": system.alerts[name].slo,
        "bound": limit.bound,
        "below": limit.above is None,
        "unit": slo.unit.value,
        "window_s": env.scaled(slo.window) if slo.over else 0.0,
        "told_s": predicted.upper_s,
        "notified_s": predicted.parts["group wait"][1] + env.scaled(env.evaluation_interval_s) + DELIVERY_S,
        # A mean and a count do. A quantile does not, nor what is divided by traffic, which the fault may have cut.
        "adds_up": slo.unit is not Unit.SECONDS and "/" not in slo.query,
    }


def tell_measured(story: Story, objectives: Objectives, system: System, env: Environment) -> None:
    """Tell what the rules recorded of each indicator since the fault; why not, where Prometheus does not say."""
    names = {name for alerts in may_act(objectives, system).values() for name in alerts}
    slos = sorted({system.alerts[name].slo for name in names})
    fault = story.timeline().first(Kind.FAULT_INJECTED)
    if not slos or fault is None or not env.prometheus:
        return
    span_s = math.ceil(time.time() - fault.at) + 1
    data: dict[str, Any]
    try:
        data = {"indicators": _recorded(story, system, env, slos, span_s)}
    except (httpx.HTTPError, MusterError, ValueError, KeyError, TypeError) as error:
        data = {"indicators": {}, "error": str(error) or type(error).__name__}
    story.tell(Kind.NOTE, source=SOURCE, message="", **data)


def _recorded(
    story: Story, system: System, env: Environment, slos: list[str], span_s: int
) -> dict[str, list[tuple[float, float]]]:
    """Indicator -> its values over so many seconds, at our time; what is no number (0/0) is no value."""
    named = {record(system, slo): slo for slo in slos}
    labels = ",".join(f"{label}={json.dumps(value)}" for label, value in identity(system, env).items())
    query = f'{{__name__=~"{"|".join(named)}",{labels}}}[{span_s}s]'
    with httpx.Client(verify=trust_of(env), trust_env=False, timeout=WITHIN_S) as http:
        url = f"{env.prometheus.rstrip('/')}/api/v1/query"
        answer = http.get(url, params={"query": query}, headers=bearer(env, "prometheus")).raise_for_status()
    clock, found = story.clocks.get("prometheus"), {}
    for series in answer.json()["data"]["result"]:
        values = [(float(at), float(value)) for at, value in series["values"]]
        found[named[series["metric"]["__name__"]]] = [
            (round(ours(at, clock), 3), float(f"{value:.5g}")) for at, value in values if math.isfinite(value)
        ]
    return found
