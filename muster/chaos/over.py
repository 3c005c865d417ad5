"""What an experiment's limits count over: windows, scrapes, discovery and rollouts of its environment.

Pure. A limit in a file is what the system may take beside that: it holds in the lab and at scale 1 alike. Of these only
windows and intervals follow the time scale; discovery and rollouts take real time anywhere.
"""

from __future__ import annotations

from muster.judge.objectives import Objectives
from muster.rules import predict
from muster.system import Environment, System

SCRAPES = 2  # a rate needs two samples of a new pod


def over_s(objectives: Objectives, system: System, env: Environment) -> dict[str, float]:
    """Limit -> seconds of real time; one that is not named counts over nothing of this."""
    told = [predict.detection(system, env, name, new_targets=True) for name in filter(None, [objectives.alert])]
    takes, measured = env.scaled(objectives.takes_s), measured_s(objectives, system, env)
    return {
        "detect_within": takes,
        "page_within": max((one.parts["group wait"][1] for one in told), default=0.0),
        # Where an alert is awaited the checks may be looked at after it has told.
        "finds_within": takes + max(measured, *(one.upper_s for one in told)) if told else takes + measured,
        "rollback_within": env.rollout_takes_s,
        "recovered_within": env.rollout_takes_s + measured,
    }


def measured_s(objectives: Objectives, system: System, env: Environment) -> float:
    """How long after a change of pods every indicator that the fault moves speaks of the new state alone, in seconds.

    These are the rollback triggers' (any fault may move them) and those of the alerts that are expected or may fire.
    """
    triggers = [name for name, alert in system.alerts.items() if alert.action == "rollback"]
    moved = {system.alerts[name].slo for name in (*triggers, *filter(None, [objectives.alert]), *objectives.may_fire)}
    window = max((system.slo[name].window for name in moved if system.slo[name].over), default=0.0)
    return env.scaled(window + SCRAPES * env.scrape_interval_s) + env.discovery_s


def awaited_s(system: System, env: Environment, alert: str) -> float:
    """How long this alert may take to tell of a fault that can show, in seconds: new pods have to be discovered."""
    return predict.detection(system, env, alert, new_targets=True).upper_s
