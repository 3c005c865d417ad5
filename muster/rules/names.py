"""What rules, routes and their test cases call things: one home, so that they cannot disagree."""

from __future__ import annotations

import re
from dataclasses import dataclass

from muster.system.environment import Environment
from muster.system.model import System
from muster.system.promql import CANARY, RELEASE, is_told_of, prom_duration
from muster.system.units import Unit, duration, show

RESPONDER = "responder"
Subject = tuple[System, Environment]  # one running copy of a system
_VALUE = {
    Unit.RATIO: "{{ $value | humanizePercentage }}",
    Unit.SECONDS: "{{ $value | humanizeDuration }}",
    Unit.BYTES: "{{ $value | humanize }}B",
    Unit.PER_SECOND: "{{ $value | humanize }}/s",
    Unit.COUNT: "{{ $value | humanize }}",
}
_OVER_WINDOW = re.compile(r"(\w+)\([^()\[]*\[\{window\}\]")


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The labels and annotations of one alerting rule."""

    labels: dict[str, str]
    annotations: dict[str, str]


def metric(text: str) -> str:
    """``text`` as part of a metric's name."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def record(system: System, slo: str, *, canary: bool = False) -> str:
    """The recorded indicator, as level:metric:operation; its window is named at true scale in every environment."""
    facts = system.slo[slo]
    operation = "now"
    if "{window}" in facts.query:
        function = _OVER_WINDOW.search(facts.query)
        operation = f"{function[1] if function else 'over'}{duration(facts.window)}"
    return f"{metric(system.name)}:{'canary_' if canary else ''}{metric(slo)}:{operation}"


def identity(system: System, environment: Environment) -> dict[str, str]:
    """The labels that tell one running copy of a system from every other."""
    return {"system": system.name, "environment": environment.name}


def lasting(system: System, environment: Environment, alert: str) -> float:
    """How long the condition must last here before the alert fires, in seconds.

    What reads absence waits for Prometheus' discovery at least: at a time scale of 60 a rollout replaces every pod
    before the new ones are seen, and that is no outage.
    """
    seconds = environment.scaled(system.duration_of(alert))
    return max(seconds, environment.discovery_s) if system.slo[system.alerts[alert].slo].reads_absence else seconds


def absence_lasting(system: System, environment: Environment) -> float:
    """How long a series must be absent here before its alert fires, in seconds."""
    return max(environment.scaled(system.no_data.for_s), environment.discovery_s)


def of_each_release(system: System) -> list[str]:
    """The alerts that are judged for a canary by itself, too: the rollback triggers that its own series can give.

    Not those that read an absence: a canary that is scaled to 0 is no outage.
    """
    return [
        name
        for name, alert in system.alerts.items()
        if alert.level == "rollback" and not (slo := system.slo[alert.slo]).reads_absence and not is_told_of(slo.query)
    ]


def texts(
    system: System, environment: Environment, alert: str, value: str | None = None, *, canary: bool = False
) -> Texts:
    """What the alert says, of the canary or of the rest.

    ``value`` stands for the measured value (default: Prometheus fills it in).
    """
    entry, limit = system.alerts[alert], system.limit_of(alert)
    slo = system.slo[entry.slo]
    measured = value if value is not None else _VALUE[slo.unit]
    window = f" over {prom_duration(environment.scaled(slo.window))}" if slo.over else ""
    for_s = prom_duration(lasting(system, environment, alert))
    source = limit.source if isinstance(limit.source, str) else limit.source[0]
    condition = f"{measured} {limit.operator} {show(limit.bound, slo.unit)}{window} for {for_s}"
    whose = f"{system.name}/{environment.name}{' canary' if canary else ''}"
    return Texts(
        labels={
            "severity": entry.severity, **identity(system, environment), "action": entry.action,
            "slo": entry.slo, "level": entry.level, "tell": ",".join(entry.tell), "owner": system.owner_of(alert),
            **({"sev": entry.sev} if entry.sev else {}), **({RELEASE: CANARY} if canary else {}),
        },
        annotations={
            "summary": f"{whose}: {entry.title}",
            "description": f"{whose} {entry.slo} {condition} ({entry.level}; {source})",
            "runbook_url": system.runbook_url(entry.runbook, environment.runbooks),
            **_escalation(system, alert),
        },
    )  # fmt: skip


def _escalation(system: System, alert: str) -> dict[str, str]:
    """Who is next while the alert stays open, for the page itself: calling them is the pager's business."""
    steps = [f"{step.to} after {duration(step.after_s)}" for step in system.escalation_of(alert)]
    return {"escalation": ", ".join(steps)} if steps else {}


def absent_texts(system: System, environment: Environment, series: str, slos: list[str]) -> Texts:
    """What the alert for one absent series says."""
    entry = system.no_data
    return Texts(
        labels={
            "severity": entry.severity, **identity(system, environment), "action": "none",
            "slo": ",".join(slos), "series": series, "level": "warning", "tell": ",".join(entry.tell),
            "owner": system.owner or system.first_level,
        },
        annotations={
            "summary": f"{system.name}/{environment.name}: {entry.title}",
            "description": f"{system.name}/{environment.name} {series} has no samples: {', '.join(slos)} is unknown",
            "runbook_url": system.runbook_url(entry.runbook, environment.runbooks),
        },
    )  # fmt: skip


def series_of(system: System) -> dict[str, list[str]]:
    """Every series that a rule stands on, with the indicators made of it."""
    found: dict[str, list[str]] = {}
    for name, slo in system.slo.items():
        for series in slo.series:
            found.setdefault(series, []).append(name)
    return found


def receiver(system: System, environment: Environment, tell: list[str]) -> str:
    """The receiver that reaches exactly these contacts; several systems' may stand in one Alertmanager."""
    return f"{system.name}/{environment.name}/{'+'.join(tell)}"


def tells(system: System) -> list[list[str]]:
    """The sets of contacts that alerts are told to, each once."""
    unique: list[list[str]] = []
    failed = [system.rollback_failed.tell] if system.rollback_failed else []  # raised by the responder, not by a rule
    for tell in [*(alert.tell for alert in system.alerts.values()), system.no_data.tell, *failed]:
        if tell not in unique:
            unique.append(tell)
    return unique
