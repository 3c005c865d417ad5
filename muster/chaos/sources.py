"""The sources of a drill's timeline, each told where it is true: alerts and routing here, the others in their files."""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx

from muster.chaos.effect import tell_effect
from muster.chaos.pods import Pods
from muster.chaos.records import Audit, Inbox
from muster.chaos.story import Story
from muster.chaos.users import Users
from muster.chaos.watch import EVERY_S, HttpWatcher, Watcher
from muster.errors import MusterError
from muster.kube import Kube
from muster.load import Load
from muster.system import Environment, System
from muster.system.whose import alert_names, is_ours
from muster.timeline import Event, Kind
from muster.trust import bearer, trust_of

_TIME_EVERY = 10  # looks: Prometheus is asked for its time every two seconds


Labels = Mapping[str, str]
Ours = Callable[[Labels], bool]  # whether an alert with these labels is of the system and environment of the drill


class Alerts(HttpWatcher):
    """Prometheus' own alerts of this system: ``activeAt``, and firing to the very evaluation that made it so.

    A series that fired before the fault cannot follow from it, and hides no other one of its alert: from the fault on
    an alert's state is that of its other series.
    """

    source, stamps, grain_s, forgets = "prometheus", True, 0.001, True

    def __init__(
        self,
        story: Story,
        url: str,
        *,
        since: float,
        ours: Ours,
        tell_effect: Callable[[Callable[..., Any]], None] = lambda _: None,
        **access: Any,
    ) -> None:
        super().__init__(story, url, **access)
        self._since, self._is_ours, self._effect = since, ours, tell_effect
        self._states: dict[str, str] = {}  # by alert, of the series that count
        self._known: set[str] = set()  # alerts with any open series
        self._older: set[Fingerprint] = set()  # series that fire since before the fault
        self._broken = False  # by the last look
        self._fired: list[Event] = []
        self._looks = 0

    def now_in(self, body: Any) -> float | None:
        """The answer to ``time()`` is the only one that says it."""
        match body:
            case {"data": {"resultType": "scalar", "result": [_, told]}}:
                return float(told)
        return None

    def look(self) -> None:
        """Tell every change of state since the last look."""
        if self._looks % _TIME_EVERY == 0:
            self._ask_time()
        self._looks += 1
        broken = self.story.timeline().first(Kind.FAULT_INJECTED) is not None  # before: an alert may begin meanwhile
        alerts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for alert in self.get("/api/v1/alerts")["data"]["alerts"]:
            if self._is_ours(alert["labels"]):
                alerts[alert["labels"]["alertname"]].append(alert)
        open_series = {_fingerprint(alert): alert["state"] for found in alerts.values() for alert in found}
        if broken:
            self._older &= set(open_series)
            if not self._broken:  # what was told of an alert so far was told of these series, too
                self._states = {n: state for n, state in self._states.items() if not self._has_older(alerts.get(n, []))}
        else:
            self._older = {series for series, state in open_series.items() if state == "firing"}
        for name, found in alerts.items():
            self._tell(name, [alert for alert in found if not (broken and _fingerprint(alert) in self._older)])
        for name in self._known - set(alerts):
            self._states.pop(name, None)
            self.story.tell(Kind.ALERT_RESOLVED, source=self.source, message=f"{name} resolved", alert=name)
        self._known, self._broken = set(alerts), broken

    def _has_older(self, found: list[dict[str, Any]]) -> bool:
        return any(_fingerprint(alert) in self._older for alert in found)

    def _ask_time(self) -> None:
        """Learn its clock. Where it does not tell, the Date header of its other answers is what is known."""
        with suppress(httpx.HTTPError, ValueError):
            self.get("/api/v1/query", query="time()")

    def _tell(self, name: str, found: list[dict[str, Any]]) -> None:
        before = self._states.pop(name, None)
        if not found:  # what is left of it fires since before the fault
            if before is not None:
                self.story.tell(Kind.ALERT_RESOLVED, source=self.source, message=f"{name} resolved", alert=name)
            return
        firing = [alert for alert in found if alert["state"] == "firing"]
        labels = (firing or found)[0]["labels"]
        if before is None:
            at = min(_epoch(alert["activeAt"]) for alert in found)
            self.story.tell(
                Kind.ALERT_PENDING,
                source=self.source,
                at=at,
                message=f"{name} pending",
                clock=self.source,
                alert=name,
                labels=labels,
            )
        if firing and before != "firing":
            event = self.story.tell(
                Kind.ALERT_FIRING, source=self.source, message=f"{name} firing", alert=name, labels=labels
            )
            self._fired.append(event)
        self._states[name] = "firing" if firing else "pending"

    def close(self) -> None:
        """Ask Prometheus for the evaluations that made alerts fire: they are more exact than when we saw it."""
        try:
            for event in self._fired:
                at = self._first_firing(event)
                if at is not None:
                    self.story.correct(event, at=at, clock=self.source)
            self._tell_visible()
            self._effect(self.get)  # last, when all else is told
        except (httpx.HTTPError, MusterError, ValueError, KeyError, TypeError) as error:
            message = f"firing times are as seen, to {EVERY_S:g} s: {type(error).__name__}"
            self.story.tell(Kind.NOTE, source=self.source, message=message)
        finally:
            super().close()

    def _tell_visible(self) -> None:
        """When each pod of a bad release was first scraped: Prometheus discovers pods seconds after they serve."""
        pods = self._bad_pods()
        if not pods:
            return
        span_s = math.ceil(time.time() - self._since) + 1
        query = f'up{{pod=~"{"|".join(sorted(pods))}"}}[{span_s}s]'
        result = self.get("/api/v1/query", query=query)["data"]["result"]
        scraped = {
            str(series["metric"].get("pod")): min(float(at) for at, up in series["values"] if up == "1")
            for series in result
            if any(up == "1" for _, up in series["values"])
        }
        for pod, at in scraped.items():
            message = f"Prometheus first scraped {pod}"
            self.story.tell(Kind.FAULT_VISIBLE, source=self.source, at=at, message=message, clock=self.source, pod=pod)

    def _bad_pods(self) -> set[str]:
        """Those of the fault's confirmation; of a bad release also those that became ready after it."""
        timeline = self.story.timeline()
        confirmed = timeline.first(Kind.FAULT_CONFIRMED)
        if confirmed is None:
            return set()
        release = confirmed.data.get("hash")
        later = timeline.of(Kind.POD_READY) if release else ()
        return {*confirmed.data.get("pods", []), *(each.data["pod"] for each in later if each.data["hash"] == release)}

    def _first_firing(self, event: Event) -> float | None:
        """The first sample of ALERTS in the firing state, at most a few seconds before it was seen."""
        told = {"alertname": event.data["alert"], "alertstate": "firing"}
        told |= {label: value for label, value in event.data["labels"].items() if label in ("system", "environment")}
        query = "ALERTS{" + ",".join(f'{label}="{value}"' for label, value in told.items()) + "}[10s]"
        result = self.get("/api/v1/query", query=query, time=self.theirs(event.at) + 1.0)["data"]["result"]
        since = self.theirs(self._since)
        stamps = [float(at) for series in result for at, _ in series["values"] if float(at) >= since]
        return min(stamps, default=None)


class Routing(HttpWatcher):
    """Alertmanager's own account: to whom it routes each alert, and how many notifications failed meanwhile."""

    source = "alertmanager"
    _FAILED = re.compile(
        r'^alertmanager_notifications_failed_total\{[^}]*integration="(\w+)"[^}]*\} ([\d.e+]+)', re.MULTILINE
    )

    def __init__(self, story: Story, url: str, *, ours: Ours, **access: Any) -> None:
        super().__init__(story, url, every_s=1.0, **access)
        self._is_ours = ours
        self._receivers: dict[str, set[str]] = defaultdict(set)
        self._first: dict[str, float] | None = None
        self._last: dict[str, float] = {}

    def look(self) -> None:
        """Remember receivers and counts; nothing is told before the end."""
        for alert in self.get("/api/v2/alerts"):
            if self._is_ours(alert["labels"]):
                self._receivers[alert["labels"]["alertname"]] |= {receiver["name"] for receiver in alert["receivers"]}
        counts: dict[str, float] = defaultdict(float)
        for integration, count in self._FAILED.findall(self.get_raw("/metrics").text):
            counts[integration] += float(count)
        self._first = counts if self._first is None else self._first
        self._last = counts

    def facts(self) -> dict[str, Any]:
        """``receivers``: alert -> names; ``failed``: integration -> failed notifications during the drill."""
        first = self._first or {}
        return {
            "receivers": {alert: sorted(names) for alert, names in self._receivers.items()},
            "failed": {name: int(count - first.get(name, 0.0)) for name, count in self._last.items()},
        }


def watchers(
    story: Story, system: System, env: Environment, *, since: float, load: Load | None, kube: Kube | None
) -> list[Watcher]:
    """One watcher for each source that the environment declares; what it does not declare is never read."""
    found: list[Watcher] = []
    trust, ours = trust_of(env), whose(system, env)
    if env.prometheus:
        access: dict[str, Any] = {"headers": lambda: bearer(env, "prometheus"), "verify": trust}
        effect = lambda get: tell_effect(story, system, env, get)  # noqa: E731
        found.append(Alerts(story, env.prometheus, since=since, ours=ours, tell_effect=effect, **access))
    if env.inbox:
        found.append(Inbox(story, env.inbox, since=since, verify=trust))
    if env.responder:
        token_file = env.audit_token_file
        found.append(Audit(story, env.responder, token_file=token_file, since=since, verify=trust))
    if env.alertmanager:
        access = {"headers": lambda: bearer(env, "alertmanager"), "verify": trust}
        found.append(Routing(story, env.alertmanager, ours=ours, **access))
    if kube is not None and env.kubernetes is not None:
        found.append(Pods(story, kube, env.kubernetes))
    if load is not None:
        found.append(Users(story, load))
    return found


def whose(system: System, env: Environment) -> Ours:
    """Tells the alerts of this system here from those of everybody who shares its Prometheus."""
    names, unlabelled = alert_names(system), env.rollback.take_unlabelled
    return lambda labels: is_ours(
        labels, system=system.name, environment=env.name, names=names, take_unlabelled=unlabelled
    )


Fingerprint = frozenset[tuple[str, str]]


def _fingerprint(alert: Mapping[str, Any]) -> Fingerprint:
    """Which series of an alert it is: all its labels, as Alertmanager tells alerts from one another."""
    return frozenset(alert["labels"].items())


def _epoch(text: str) -> float:
    """Seconds of Prometheus' RFC 3339 time, whose nanoseconds Python does not read."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
