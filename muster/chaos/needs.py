"""How long an experiment takes by its alerts' windows: neither its fault nor its users may end before it does.

Pure: promises, facts and environment in, seconds of real time out. At a time scale of 60 fixed times would always do;
at scale 1 the slowest alert takes over twenty minutes, and what ends before it makes a sound system look broken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from muster.chaos.over import over_s
from muster.judge.objectives import Objectives, may_act, window_s
from muster.rules import predict
from muster.system import Environment, System

BEFORE_S = 60.0  # users gather, and the steady state is looked at
IN_FORCE_S = 60.0  # what an action may take until its fault bites
AFTER_S = 60.0  # looks at the checks, and the listening for what is left
MARGIN = 1.5  # of the users' time over what is needed: nothing but their own end may come first


def told_s(objectives: Objectives, system: System, env: Environment) -> float:
    """How long after the fault the last alert that the experiment names or listens for would have told of it.

    Discovery of new pods is counted in. 0 when it names none and listens for none.
    """
    listened = [name for names in may_act(objectives, system).values() for name in names]
    told = _latest((objectives.alert, objectives.outlast, *objectives.blind, *listened), system, env)
    takes = env.scaled(objectives.takes_s)
    if objectives.detect_within_s is None:
        return told + takes
    return max(told, window_s(objectives, system, env.time_scale) + objectives.detect_within_s) + takes


def in_force_s(objectives: Objectives, system: System, env: Environment) -> float:
    """How long after its injection the experiment may still want the fault to be there."""
    # ``outlasted`` counts from when the expected alert has seen the fault, which is before that one tells.
    seen = _latest((objectives.alert,), system, env)
    outlast = _latest((objectives.outlast,), system, env)
    return IN_FORCE_S + env.rollout_takes_s + max(told_s(objectives, system, env), seen + outlast)


def users_s(objectives: Objectives, system: System, env: Environment) -> float:
    """For how many whole seconds users must stay: from their gathering until the end of the fault has been seen."""
    expected = system.alerts.get(objectives.alert)
    slo = system.slo[expected.slo] if expected is not None else None
    drained = env.scaled(slo.window) if slo is not None and slo.over else 0.0  # until the alert can be resolved
    deadlines = (
        objectives.finds_within_s,
        objectives.webhook_within_s,
        objectives.page_within_s,
        objectives.decide_within_s,
        objectives.rollback_within_s,
        objectives.recovered_within_s,
    )
    promised = sum(filter(None, deadlines))
    # What the others count over has passed with the fault in force.
    over = max(drained, over_s(objectives, system, env)["recovered_within"])
    return float(math.ceil(BEFORE_S + in_force_s(objectives, system, env) + promised + over + AFTER_S))


def wanted_s(needed_s: float, *, at_least_s: float) -> float:
    """How long users are asked to stay at most, where they are needed for ``needed_s``."""
    return max(at_least_s, MARGIN * needed_s)


def _latest(alerts: Iterable[str], system: System, env: Environment) -> float:
    found = (predict.detection(system, env, alert, new_targets=True) for alert in alerts if alert)
    return max((prediction.upper_s for prediction in found), default=0.0)
