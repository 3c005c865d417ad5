"""The sources of a drill's timeline: alerts, inbox, audit, pods, routing and users, each told where it is true."""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from muster.chaos.pods import Pods
from muster.chaos.story import Story
from muster.chaos.users import Users
from muster.chaos.watch import EVERY_S, HttpWatcher, Watcher
from muster.errors import MusterError
from muster.kube import Kube
from muster.load import Load
from muster.system import Environment
from muster.timeline import Event, Kind
from muster.trust import bearer, trust_of

_TIME_EVERY = 10  # looks: Prometheus is asked for its time every two seconds
OVERLAP_S = 1.0  # asked again at each look, because a receipt may be stamped before it can be read


class Alerts(HttpWatcher):
    """Prometheus' own alerts of this system: ``activeAt``, and firing to the very evaluation that made it so."""

    source, stamps, grain_s, forgets = "prometheus", True, 0.001, True

    def __init__(self, story: Story, url: str, *, since: float, **access: Any) -> None:
        super().__init__(story, url, **access)
        self._since = since
        self._states: dict[str, str] = {}
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
        alerts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for alert in self.get("/api/v1/alerts")["data"]["alerts"]:
            if _ours(alert["labels"], self.story):
                alerts[alert["labels"]["alertname"]].append(alert)
        for name, found in alerts.items():
            self._tell(name, found)
        for name in [name for name in self._states if name not in alerts]:
            del self._states[name]
            self.story.tell(Kind.ALERT_RESOLVED, source=self.source, message=f"{name} resolved", alert=name)

    def _ask_time(self) -> None:
        """Learn its clock. Where it does not tell, the Date header of its other answers is what is known."""
        with suppress(httpx.HTTPError, ValueError):
            self.get("/api/v1/query", query="time()")

    def _tell(self, name: str, found: list[dict[str, Any]]) -> None:
        before = self._states.get(name)
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


class Records(HttpWatcher):
    """A watcher of records that the source itself stamps, and gives from an instant of its own time on."""

    stamps = True
    _since, _cursor = 0.0, float("-inf")

    def _from(self) -> float:
        """From where to ask. Until a record is seen, from the beginning: where that is on its clock shows only now."""
        if self._cursor > float("-inf"):
            return self._cursor - OVERLAP_S
        clock = self.story.clocks.get(self.source)
        return 0.0 if clock is None else self.theirs(self._since) - clock.bound_s - OVERLAP_S


class Inbox(Records):
    """The pager's receipts."""

    source = "inbox"

    def __init__(self, story: Story, url: str, *, since: float, **access: Any) -> None:
        super().__init__(story, url, **access)
        self._since, self._cursor = since, float("-inf")
        self._seen: set[tuple[float, str, str]] = set()

    def look(self) -> None:
        """Tell every page that was received since the last look."""
        for message in self.get("/inbox", since=self._from())["messages"]:
            at, contact, alert = float(message["received_at"]), str(message["to"]), str(message["alert"])
            if self.ours(at) < self._since or message["action"] != "trigger" or (at, contact, alert) in self._seen:
                continue
            self._seen.add((at, contact, alert))
            self._cursor = max(self._cursor, at)
            self.story.tell(
                Kind.PAGE_RECEIVED,
                source=self.source,
                at=at,
                message=f"paged {contact}: {message['summary']}",
                clock=self.source,
                alert=alert,
                contact=contact,
                channel=message["channel"],
            )


class Audit(Records):
    """The responder's own record of what it received, decided and did."""

    source = "responder"

    def __init__(self, story: Story, url: str, *, token_file: str, since: float, **access: Any) -> None:
        def headers() -> dict[str, str]:
            return {"Authorization": f"Bearer {Path(token_file).read_text().strip()}"} if token_file else {}

        super().__init__(story, url, headers=headers, **access)
        self._since, self._cursor = since, float("-inf")
        self._seen: set[tuple[float, str, str]] = set()

    def look(self) -> None:
        """Tell every record since the last look."""
        for record in self.get("/audit", since=self._from())["records"]:
            at, kind, message = float(record["at"]), str(record["kind"]), str(record.get("message", ""))
            if self.ours(at) < self._since or (at, kind, message) in self._seen:
                continue
            self._seen.add((at, kind, message))
            self._cursor = max(self._cursor, at)
            known = Kind(kind) if kind in set(Kind) else Kind.NOTE
            data = {key: value for key, value in (record.get("data") or {}).items() if key not in _OWN}
            data.setdefault("alert", record.get("alert", ""))
            self.story.tell(known, source="responder audit", at=at, message=message, **data | {"clock": self.source})


_OWN = {"kind", "source", "at", "message"}  # arguments of tell(): an audit's data may not shadow them


class Routing(HttpWatcher):
    """Alertmanager's own account: to whom it routes each alert, and how many notifications failed meanwhile."""

    source = "alertmanager"
    _FAILED = re.compile(
        r'^alertmanager_notifications_failed_total\{[^}]*integration="(\w+)"[^}]*\} ([\d.e+]+)', re.MULTILINE
    )

    def __init__(self, story: Story, url: str, **access: Any) -> None:
        super().__init__(story, url, every_s=1.0, **access)
        self._receivers: dict[str, set[str]] = defaultdict(set)
        self._first: dict[str, float] | None = None
        self._last: dict[str, float] = {}

    def look(self) -> None:
        """Remember receivers and counts; nothing is told before the end."""
        for alert in self.get("/api/v2/alerts"):
            if _ours(alert["labels"], self.story):
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


def watchers(story: Story, env: Environment, *, since: float, load: Load | None, kube: Kube | None) -> list[Watcher]:
    """One watcher for each source that the environment declares; what it does not declare is never read."""
    found: list[Watcher] = []
    trust = trust_of(env)
    if env.prometheus:
        found.append(
            Alerts(story, env.prometheus, since=since, headers=lambda: bearer(env, "prometheus"), verify=trust)
        )
    if env.inbox:
        found.append(Inbox(story, env.inbox, since=since, verify=trust))
    if env.responder:
        token_file = env.responder_token_file
        found.append(Audit(story, env.responder, token_file=token_file, since=since, verify=trust))
    if env.alertmanager:
        found.append(Routing(story, env.alertmanager, headers=lambda: bearer(env, "alertmanager"), verify=trust))
    if kube is not None and env.kubernetes is not None:
        found.append(Pods(story, kube, env.kubernetes))
    if load is not None:
        found.append(Users(story, load))
    return found


def _ours(labels: dict[str, str], story: Story) -> bool:
    """Of this system here: a Prometheus that several environments share speaks of the others, too."""
    place = {"system": story.system, "environment": story.environment}
    return all(labels.get(label, own) == own for label, own in place.items())


def _epoch(text: str) -> float:
    """Seconds of Prometheus' RFC 3339 time, whose nanoseconds Python does not read."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
