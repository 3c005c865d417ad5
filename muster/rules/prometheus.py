"""Facts -> Prometheus' recording and alerting rules. The time scale divides durations; thresholds stay as they are."""

from __future__ import annotations

import re
from typing import Any

from muster.rules.names import (
    absence_lasting,
    absent_texts,
    identity,
    lasting,
    metric,
    of_each_release,
    record,
    series_of,
    texts,
)
from muster.system.environment import Environment
from muster.system.model import System
from muster.system.promql import fill, of_canary, prom_duration, selector_of

Rule = dict[str, Any]


def groups(system: System, environment: Environment) -> list[dict[str, Any]]:
    """One group: the indicators are recorded first, so that the alerts after them see this evaluation's values."""
    rules = [
        *_recordings(system, environment),
        *_alerts(system, environment),
        *_of_canary(system, environment),
        *_absences(system, environment),
    ]
    return [
        {
            "name": f"{system.name}-{environment.name}",
            "interval": prom_duration(environment.scaled(environment.evaluation_interval_s)),
            "rules": rules,
        }
    ]


def rule_file(system: System, environment: Environment) -> dict[str, Any]:
    """The content of a file for ``rule_files``."""
    return {"groups": groups(system, environment)}


def prometheus_rule(system: System, environment: Environment) -> dict[str, Any]:
    """The same as a PrometheusRule object, for the Prometheus operator."""
    facts = environment.rules
    namespace = facts.namespace or (environment.kubernetes.namespace if environment.kubernetes else "")
    labels = {"app.kubernetes.io/managed-by": "muster", "app.kubernetes.io/part-of": _word(system.name)}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": f"{_word(system.name)}-{_word(environment.name)}",
            **({"namespace": namespace} if namespace else {}),
            "labels": {**labels, **facts.labels},
            **({"annotations": dict(facts.annotations)} if facts.annotations else {}),
        },
        "spec": {"groups": groups(system, environment)},
    }


def _word(text: str) -> str:
    """``text`` as the Kubernetes API takes names and labels: systems and environments may be called otherwise."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def threshold(value: float) -> str:
    """A limit as PromQL writes it: no unit, no exponent where it can be avoided."""
    return f"{value:.12g}"


def _recordings(system: System, environment: Environment) -> list[Rule]:
    return [_recording(system, environment, name) for name in system.slo]


def _alerts(system: System, environment: Environment) -> list[Rule]:
    return [_alert(system, environment, name) for name in system.alerts]


def _of_canary(system: System, environment: Environment) -> list[Rule]:
    """The rollback triggers once more, for the canary by itself: a tenth of the users never shows in the whole."""
    alone = of_canary(environment)
    if alone is None:
        return []
    triggers = of_each_release(system)
    indicators = dict.fromkeys(system.alerts[name].slo for name in triggers)
    return [
        *(_recording(system, alone, slo, canary=True) for slo in indicators),
        *(_alert(system, alone, name, canary=True) for name in triggers),
    ]


def _recording(system: System, environment: Environment, slo: str, *, canary: bool = False) -> Rule:
    return {
        "record": record(system, slo, canary=canary),
        "expr": fill(system.slo[slo].query, environment, system.slo[slo].window),
        "labels": identity(system, environment),
    }


def _alert(system: System, environment: Environment, name: str, *, canary: bool = False) -> Rule:
    own = ",".join(f'{key}="{value}"' for key, value in identity(system, environment).items())
    limit, said = system.limit_of(name), texts(system, environment, name, canary=canary)
    indicator = record(system, system.alerts[name].slo, canary=canary)
    return {
        "alert": metric(name),
        "expr": f"{indicator}{{{own}}} {limit.operator} {threshold(limit.bound)}",
        "for": prom_duration(lasting(system, environment, name)),
        "labels": said.labels,
        "annotations": said.annotations,
    }


def _absences(system: System, environment: Environment) -> list[Rule]:
    # count(): absent() of a bare selector would add the selector's labels to the alert's own.
    rules = []
    for series, slos in series_of(system).items():
        said = absent_texts(system, environment, series, slos)
        selector = selector_of(system.slo[slos[0]].query, environment)
        rules.append(
            {
                "alert": metric(system.no_data.alert),
                "expr": f"absent(count({series}{{{selector}}}))",
                "for": prom_duration(absence_lasting(system, environment)),
                "labels": said.labels,
                "annotations": said.annotations,
            }
        )
    return rules
