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
from muster.system.whose import alert_names
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


class Firing(AssertionError):  # noqa: N818 - the field's word
    """A critical alert is firing: ``alert`` names it, and with it what is to be done."""

    def __init__(self, message: str, *, alert: str) -> None:
        super().__init__(message)
        self.alert = alert


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


@dataclass(frozen=True, kw_only=True)
class Held:
    """One alert that Alertmanager holds; ``suppressed`` ones are told to nobody, for another alert or a silence."""

    name: str
    labels: Mapping[str, str]
    suppressed: bool
    silenced: bool


def held(raw: list[Mapping[str, Any]]) -> tuple[Held, ...]:
    """The typed view of the reading ``notified``."""
    return tuple(
        Held(
            name=entry["name"],
            labels=entry["labels"],
            suppressed=entry["state"] == "suppressed",
            silenced=bool(entry["silenced_by"]),
        )
        for entry in raw
    )


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
    """With the labels that it really carries, each alert reaches everybody whom the facts name.

    That of the responder's own, over a rollback that failed, too. Raises Unknown for an alert that is no rule: what
    labels it would carry is not known.
    """
    ours = [(rule.name, rule.labels) for rule in _ours(rules, system)]
    if not ours:
        raise Unknown("Prometheus has none of the facts' rules, so there are no labels to route")
    if routes.responder and system.rollback_failed is not None:
        ours.append((system.rollback_failed.alert, _labels_of_rollback_failed(system, ours[0][1])))
    for name, labels in ours:
        reached = routes.reached_by({**labels, "alertname": name})
        claim(bool(reached), f"{name} is routed to nobody")
        told = [receiver.removeprefix(_whose(labels)) for receiver in reached]
        untold = [contact for contact in _tell(system, name) if not _is_named(contact, told)]
        where = f"it reaches {', '.join(reached)}"
        claim(not untold, f"{name} does not reach {', '.join(untold)}: {where}")
        if routes.responder and _action(system, name) == "rollback":
            claim(_is_named(RESPONDER, told), f"{name} is a rollback trigger, but no responder hears of it: {where}")
    absent = [name for name in expected(system) if name not in dict(ours)]
    if absent:
        raise Unknown(f"Prometheus has no rule {', '.join(absent)}, so it is not known where it would be routed")
    for name, labels in ours:
        muted = routes.muted_for({**labels, "alertname": name})
        if muted:
            message = f"{name} does not reach {', '.join(muted)} at all hours: the route has time intervals"
            warnings.warn(message, SLOWarning, stacklevel=2)
            return


def _whose(labels: Mapping[str, str]) -> str:
    """What rendered receivers begin with; a contact may be called as a system or an environment."""
    return f"{labels.get('system', '')}/{labels.get('environment', '')}/"


def _is_named(contact: str, receivers: list[str]) -> bool:
    """Whether one of the receivers has this contact in its name, as a word: ``on-call`` is not ``call``."""
    word = re.compile(rf"(?<![A-Za-z0-9-]){re.escape(contact)}(?![A-Za-z0-9-])")
    return any(word.search(receiver) for receiver in receivers)


def _labels_of_rollback_failed(system: System, labels: Mapping[str, str]) -> dict[str, str]:
    """Those that the responder gives it and that routes go by; ``labels`` are of a rule of the same environment."""
    told = system.rollback_failed.tell if system.rollback_failed else []
    own = {name: labels[name] for name in ("system", "environment") if name in labels}
    return {**own, "severity": "critical", "level": "critical", "action": "escalate", "tell": ",".join(told)}


def assert_nothing_critical_fires(alerts: tuple[Alert, ...], rules: tuple[Rule, ...], system: System) -> None:
    """No critical alert of this system is firing now; its other firing alerts warn, and critical ones of nobody.

    On every cluster some alert that names no system fires for good (on a managed one KubeSchedulerDown): it is no word
    on this system, and none that may be hidden. An alert of the facts is this system's whatever its labels.

    Raises :class:`Firing`, and Unknown where Prometheus does not evaluate all critical rules of the facts: those could
    not fire.
    """
    firing = [
        (alert, f"{alert.name} is firing since {_minute(alert.active_at)}" + (alert.summary and f": {alert.summary}"))
        for alert in alerts
        if alert.state == "firing"
    ]
    for alert, message in firing:
        if alert.labels.get("severity") == "critical" and _names_us(alert, system):
            raise Firing(message, alert=alert.name)
    evaluated = {rule.name for rule in _ours(rules, system) if rule.health == "ok"}
    if not evaluated:
        raise Unknown("Prometheus evaluates none of the facts' rules, so that nothing fires says nothing")
    critical = [name for name, alert in system.alerts.items() if alert.severity == "critical"]
    if silent := [name for name in critical if name not in evaluated]:
        raise Unknown(f"Prometheus does not evaluate {', '.join(silent)}, so it is not known whether it would fire")
    for alert, message in firing:
        if _names_us(alert, system):
            warnings.warn(message, SLOWarning, stacklevel=2)
        elif alert.labels.get("severity") == "critical":
            warnings.warn(f"{message} (it names no system)", SLOWarning, stacklevel=2)


def _names_us(alert: Alert | Held, system: System) -> bool:
    """Whether it says whose it is (then it is ours: others' are not judged here), or is called as one of the facts."""
    return bool(alert.labels.get("system")) or alert.name in alert_names(system)


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


def assert_nothing_is_held_back(notified: tuple[Held, ...], rules: tuple[Rule, ...], system: System) -> None:
    """No critical alert of this system that fires is inhibited by another: nobody is paged for it.

    A silence is somebody's own will, and warns. Other alerts may be inhibited: that is what inhibition is for. Raises
    Unknown where no rule of the facts is evaluated: nothing would come to be held.
    """
    notified = tuple(alert for alert in notified if _names_us(alert, system))
    for alert in notified:
        if alert.suppressed and alert.labels.get("severity") == "critical" and not alert.silenced:
            claim(False, f"{alert.name} fires, and Alertmanager tells nobody: another alert inhibits it")
    if not any(rule.health == "ok" for rule in _ours(rules, system)):
        raise Unknown("Prometheus evaluates none of the facts' rules, so that nothing is held back says nothing")
    for alert in notified:
        if alert.suppressed and alert.silenced:
            message = f"{alert.name} fires, and Alertmanager tells nobody: it is silenced"
            warnings.warn(message, SLOWarning, stacklevel=2)


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
    if name in system.alerts:
        return system.alerts[name].tell
    failed = system.rollback_failed
    return failed.tell if failed is not None and failed.alert == name else system.no_data.tell


def _action(system: System, name: str) -> Action:
    return system.alerts[name].action if name in system.alerts else "none"


def _minute(stamp: str) -> str:
    """``2026-11-21 09:12`` of an RFC 3339 time, for people."""
    return stamp[:16].replace("T", " ")
