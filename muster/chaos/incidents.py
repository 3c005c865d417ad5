"""Incidents elsewhere, as reasons to end a drill, told from the noise that every cluster makes.

A critical alert of another system that begins during a drill ends it. One that fired when the drill began does not:
whoever began it has taken that as it is. Nor does one that Alertmanager has silenced (people know it) or inhibited
(it is another one's shadow), nor one that the environment names in ``guard.ignore_alerts``. Alerts of this system, here
or in another environment, are never taken for noise because they fired before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import httpx

from muster.chaos import shared
from muster.chaos.story import Story
from muster.chaos.watch import HttpWatcher
from muster.errors import MusterError
from muster.system import Environment, System
from muster.system.whose import alert_names, is_ours
from muster.timeline import Kind
from muster.trust import bearer, trust_of

Labels = Mapping[str, str]
Alert = dict[str, Any]  # labels and state, as Prometheus gives them
Exempt = Callable[[Labels], bool]
Hear = Callable[[Sequence[Alert], Exempt], None]

SOURCE = "stop conditions"
UNHEARD_S = 5.0  # so long a silenced alert may fire in Prometheus before Alertmanager knows that it is


class Noise:
    """What of others' alerts is no reason to stop, by what fired when the session (else: the experiment) began."""

    def __init__(self, story: Story, system: System, env: Environment) -> None:
        self._story, self._system, self._env, self._names = story, system.name, env, alert_names(system)
        session = shared.current()
        self._before: shared.FiredBefore = {} if session is None else session.fired_before
        self._late: set[str] = set()
        self._told: set[str] = set()

    def begins(self, source: str, alerts: Iterable[Alert]) -> None:
        """What this source says at its first look: before the fault it is the state of things, after it nobody knows.

        An alert of this system is none of it, whatever its environment: that is a reason to do no drill.
        """
        if source in self._before or source in self._late:
            return
        if self._story.timeline().first(Kind.FAULT_INJECTED) is not None:
            self._late.add(source)  # for this experiment only: the next one's first look may be in time
            return
        of_others = [alert["labels"] for alert in alerts if _is_critical(alert) and self._of_others(alert["labels"])]
        self._before[source] = frozenset(frozenset(each.items()) for each in of_others)

    def known(self, source: str, labels: Labels) -> bool:
        """Whether the alert is no reason to stop: it fired before, or the environment ignores it. Told once."""
        if self._env.guard.ignores(labels):
            return self._tell(labels, "guard.ignore_alerts has it")
        if frozenset(labels.items()) in self._before.get(source, frozenset()):
            return self._tell(labels, "it fired when the drill began")
        return False

    def _of_others(self, labels: Labels) -> bool:
        where, unlabelled = self._env.name, self._env.rollback.take_unlabelled
        here = is_ours(labels, system=self._system, environment=where, names=self._names, take_unlabelled=unlabelled)
        return not here and labels.get("system", "") != self._system

    def _tell(self, labels: Labels, why: str) -> bool:
        message = f"the critical alert {labels.get('alertname', '')} of others is no reason to stop: {why}"
        if message not in self._told:
            self._told.add(message)
            self._story.tell(Kind.NOTE, source=SOURCE, message=message)
        return True


class PrometheusAlerts(HttpWatcher):
    """A thread that looks at Prometheus' alerts. That it cannot be read is told by its own watcher, not by this one.

    Prometheus knows no silences: before another system's alert is taken for an incident, Alertmanager is asked for it.
    """

    source = f"{SOURCE}: alerts"

    def __init__(self, story: Story, env: Environment, noise: Noise, hear: Hear) -> None:
        super().__init__(story, env.prometheus, headers=lambda: bearer(env, "prometheus"), verify=trust_of(env))
        self._env, self._noise, self._hear_of = env, noise, hear
        self._first_seen: dict[frozenset[tuple[str, str]], float] = {}  # monotonic

    def look(self) -> None:
        """Hand on what fires; Alertmanager is asked only where something may be an incident."""
        with suppress(httpx.HTTPError):
            alerts = self.get("/api/v1/alerts")["data"]["alerts"]
            self._noise.begins(self.source, alerts)
            self._hear_of(alerts, lambda labels: self._noise.known(self.source, labels) or self._is_held(labels))

    def _is_held(self, labels: Labels) -> bool:
        """Whether Alertmanager tells nobody of it: all of its alerts with these labels (and external ones) are held.

        One of which it has not heard yet is given a moment. Where it cannot be asked, nothing is known to be silenced.
        """
        if not self._env.alertmanager:
            return False
        url = self._env.alertmanager.rstrip("/") + "/api/v2/alerts"
        try:
            answer = self._http.get(url, headers=bearer(self._env, "alertmanager")).raise_for_status()
            states = [one["status"]["state"] for one in answer.json() if labels.items() <= one["labels"].items()]
        except (httpx.HTTPError, ValueError, KeyError, TypeError, MusterError):
            return False
        if states:
            return all(state == "suppressed" for state in states)
        first_at = self._first_seen.setdefault(frozenset(labels.items()), time.monotonic())
        return time.monotonic() - first_at < UNHEARD_S


class AlertmanagerAlerts(HttpWatcher):
    """A thread that looks at Alertmanager's alerts: it hears of those that another Prometheus has raised, or none.

    What is silenced or inhibited is not even asked for. That Alertmanager cannot be read is told by its own watcher.
    """

    source = f"{SOURCE}: incidents"

    def __init__(self, story: Story, env: Environment, noise: Noise, hear: Hear) -> None:
        super().__init__(story, env.alertmanager, headers=lambda: bearer(env, "alertmanager"), verify=trust_of(env))
        self._noise, self._hear_of = noise, hear

    def look(self) -> None:
        """Hand on what is active there."""
        with suppress(httpx.HTTPError):
            active = self.get("/api/v2/alerts", silenced="false", inhibited="false")
            alerts = [{"labels": alert["labels"], "state": "firing"} for alert in active]
            self._noise.begins(self.source, alerts)
            self._hear_of(alerts, lambda labels: self._noise.known(self.source, labels))


def _is_critical(alert: Alert) -> bool:
    return bool(alert["state"] == "firing" and alert["labels"].get("severity") == "critical")
