"""When a rollback failed or did not help, people are paged: an alert of the responder's own, over the facts' routes."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from muster.errors import MusterError
from muster.release import Monitor
from muster.responder.audit import Audit
from muster.responder.journal import Journal
from muster.system import Environment, System
from muster.timeline import Kind

_LOG = logging.getLogger("muster.responder")
NAME = "MusterRollbackFailed"
_LASTS_S = 4 * 3600.0  # at true scale; Alertmanager takes an alert for resolved when its time is over
_FRESH_S = 86400.0  # an undelivered one of an earlier run is still delivered when it is younger


@dataclass
class Escalation:
    """Pages people, and goes on trying while Alertmanager does not take it."""

    system: System
    env: Environment
    monitor: Monitor
    journal: Journal
    audit: Audit
    pending: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> (the alert that was acted on, why)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for record in self.audit.since(time.time() - _FRESH_S):
            if record["kind"] == Kind.ESCALATED.value:
                data = record["data"]
                self.pending[data["key"]] = (record["alert"], str(data.get("why", record["message"])))
                if data.get("delivered"):
                    del self.pending[data["key"]]

    def page(self, alert: str, key: str, why: str) -> None:
        """Page people that the rollback for ``alert`` failed. One page for each ``key``; never raises."""
        if any(r["kind"] == Kind.ESCALATED.value and r["data"].get("key") == key for r in self.audit.since(0)):
            return  # an earlier run has; what it could not deliver is pending
        with self._mutex:
            self.pending[key] = (alert, why)
            self._deliver(key, alert, why, first=True)

    def retry(self) -> None:
        """Deliver what could not be; never raises."""
        with self._mutex:
            for key, (alert, why) in list(self.pending.items()):
                self._deliver(key, alert, why, first=False)

    def _deliver(self, key: str, alert: str, why: str, *, first: bool) -> None:
        told = ", ".join(self.system.rollback_failed.tell) if self.system.rollback_failed else "whom the routes name"
        try:
            self.monitor.raise_alert(alert_for(self.system, self.env, alert, why, now=time.time()))
        except MusterError as error:
            if first:
                message = f"nobody could be paged yet that {why}: {error}; trying again"
                _LOG.error("%s", message)
                self.journal.escalated(alert, key, message, delivered=False, why=why)
            return
        del self.pending[key]
        self.journal.escalated(alert, key, f"paged {told}: {why}", delivered=True, tell=told, why=why)


def alert_for(system: System, env: Environment, cause: str, why: str, *, now: float) -> dict[str, Any]:
    """The alert as Alertmanager's API takes it; ``cause`` is the alert whose rollback failed. Pure."""
    facts = system.rollback_failed
    slo = system.alerts[cause].slo if cause in system.alerts else ""
    labels = {
        "alertname": facts.alert if facts else NAME,
        "severity": "critical",
        "level": "critical",
        "system": system.name,
        "environment": env.name,
        "action": "escalate",
        "cause": cause,
        "slo": slo,
        "tell": ",".join(facts.tell) if facts else "",  # none: the default route's
    }
    title = facts.title if facts else "A rollback failed or did not help"
    annotations = {"summary": f"{system.name}/{env.name}: {title}", "description": f"after {cause}: {why}"}
    if facts:
        annotations["runbook_url"] = system.runbook_url(facts.runbook, env.runbooks)
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": annotations,
        "startsAt": _rfc3339(now),
        "endsAt": _rfc3339(now + env.scaled(_LASTS_S)),
    }


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
