"""Alerting end to end: somebody is told when an alert of the runbooks fires, and none does now."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.routing import Matcher, Routes
from muster.judge.ruleset import Rule
from muster.system.model import Action, System
from muster.verdict import SLOWarning

RESPONDER = "responder"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert that Prometheus holds ``pending`` or ``firing``."""

    name: str
    state: str
    labels: Mapping[str, str]
    summary: str
    active_at: str


@dataclass(frozen=True, kw_only=True)
class Silence:
    """One silence in force."""

    matchers: tuple[Matcher, ...]
    ends_at: str
    by: str
    comment: str

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels would be silent."""
        return all(matcher.matches(labels) for matcher in self.matchers)


def alerts(raw: list[Mapping[str, Any]]) -> tuple[Alert, ...]:
    """The typed view of the reading ``alerts``."""
    return tuple(Alert(**entry) for entry in raw)


def silences(raw: list[Mapping[str, Any]]) -> tuple[Silence, ...]:
    """The typed view of the reading ``silences``."""
    return tuple(
        Silence(
            matchers=tuple(
                Matcher(m["name"], _OPERATORS[m["equal"], m["regex"]], m["value"]) for m in entry["matchers"]
            ),
            ends_at=entry["ends_at"],
            by=entry["by"],
            comment=entry["comment"],
        )
        for entry in raw
    )


_OPERATORS = {(True, False): "=", (True, True): "=~", (False, False): "!=", (False, True): "!~"}


def assert_every_alert_is_routed(rules: tuple[Rule, ...], routes: Routes, system: System) -> None:
    """With the labels that it really carries, each alert reaches everybody whom the facts name."""
    ours = list(_ours(rules, system))
    if not ours:
        raise Unknown("Prometheus has none of the facts' rules, so there are no labels to route")
    for rule in ours:
        reached = routes.reached_by({**rule.labels, "alertname": rule.name})
        claim(bool(reached), f"{rule.name} is routed to nobody")
        told = {word for receiver in reached for word in re.split(r"[^A-Za-z0-9-]+", receiver)}
        untold = [contact for contact in _tell(system, rule.name) if contact not in told]
        where = f"it reaches {', '.join(reached)}"
        claim(not untold, f"{rule.name} does not reach {', '.join(untold)}: {where}")
        if routes.responder and _action(system, rule.name) == "rollback":
            claim(RESPONDER in told, f"{rule.name} is a rollback trigger, but no responder hears of it: {where}")
    for rule in ours:
        muted = routes.muted_for({**rule.labels, "alertname": rule.name})
        if muted:
            message = f"{rule.name} does not reach {', '.join(muted)} at all hours: the route has time intervals"
            warnings.warn(message, SLOWarning, stacklevel=2)
            return


def assert_nothing_critical_fires(alerts: tuple[Alert, ...], rules: tuple[Rule, ...], system: System) -> None:
    """No critical alert is firing now; other firing alerts warn. Where no rule of the facts is evaluated: UNKNOWN."""
    for alert in alerts:
        critical = alert.state == "firing" and alert.labels.get("severity") == "critical"
        claim(not critical, f"{alert.name} is firing since {_minute(alert.active_at)}: {alert.summary}")
    for alert in alerts:
        if alert.state == "firing":
            message = f"{alert.name} is firing since {_minute(alert.active_at)}: {alert.summary}"
            warnings.warn(message, SLOWarning, stacklevel=2)
    if not any(rule.health == "ok" for rule in _ours(rules, system)):
        raise Unknown("Prometheus evaluates none of the facts' rules, so that nothing fires says nothing")


def assert_nothing_is_silenced(silences: tuple[Silence, ...], rules: tuple[Rule, ...], system: System) -> None:
    """A silence over an alert of the runbooks warns: while it lasts nobody is paged."""
    ours = list(_ours(rules, system))
    if not ours:
        raise Unknown("Prometheus has none of the facts' rules, so there are no labels that a silence could cover")
    for rule in ours:
        for silence in silences:
            if silence.covers({**rule.labels, "alertname": rule.name}):
                until = f"until {_minute(silence.ends_at)} by {silence.by}: {silence.comment}"
                warnings.warn(f"{rule.name} is silenced {until}", SLOWarning, stacklevel=2)
                return


def assert_prometheus_has_an_alertmanager(alertmanagers: tuple[str, ...], routes: Routes) -> None:
    """Prometheus sends its alerts somewhere, and the Alertmanager there has somebody to tell.

    Both are needed: Prometheus lists a configured address whether anybody answers there or not, and ``routes`` is an
    answer of Alertmanager itself, so that without one this is UNKNOWN.
    """
    claim(bool(alertmanagers), "Prometheus knows no Alertmanager: what fires is heard by nobody")
    where = ", ".join(alertmanagers)
    claim(any(routes.receivers.values()), f"Prometheus sends to {where}, but no receiver of Alertmanager tells anybody")


def expected(system: System) -> list[str]:
    """The names of the alerts that must be loaded."""
    return [*system.alerts, system.no_data.alert]


def _ours(rules: tuple[Rule, ...], system: System) -> Iterator[Rule]:
    names = set(expected(system))
    return (rule for rule in rules if rule.name in names)


def _tell(system: System, name: str) -> list[str]:
    return system.alerts[name].tell if name in system.alerts else system.no_data.tell


def _action(system: System, name: str) -> Action:
    return system.alerts[name].action if name in system.alerts else "none"


def _minute(stamp: str) -> str:
    """``2026-11-21 09:12`` of an RFC 3339 time, for people."""
    return stamp[:16].replace("T", " ")
