"""The timeline: ordered, timestamped events of a drill. Recorded while it runs, judged afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What an event says. Each is stamped with the time of the place where it is true."""

    DRILL_STARTED = "drill.started"
    # One look at the steady state: {"verdict", "judged": number, "unknown": [checks], "asked": [checks]}; asked are
    # those of the experiment's `unknown` and `finds` that gave a verdict.
    STEADY = "steady"
    CHECK_FAILED = "check.failed"  # a check saw the fault: {"check"}
    FAULT_INJECTED = "fault.injected"  # the request that changes the world was accepted
    FAULT_CONFIRMED = "fault.confirmed"  # the fault itself was seen to be in force
    FAULT_VISIBLE = "fault.visible"  # Prometheus first scraped a pod of the bad release: {"pod"}
    ALERT_PENDING = "alert.pending"  # Prometheus' activeAt: {"alert", "labels"}
    ALERT_FIRING = "alert.firing"  # Prometheus first seen firing: {"alert", "labels"}
    ALERT_RESOLVED = "alert.resolved"
    PAGE_RECEIVED = "page.received"  # the pager's own receipt: {"alert", "contact", "channel"}
    WEBHOOK_RECEIVED = "webhook.received"  # the responder's own receipt: {"alert"}
    DECIDED = "decided"  # {"alert", "decision": see docs/outputs.md, "reason", "final"}
    ROLLBACK_STARTED = "rollback.started"
    TRAFFIC_OFF = "traffic.off"  # no ready replica of the bad release is left
    ROLLBACK_PROVEN = "rollback.proven"  # {"verdict", "message", "revision", "digests"}
    SYMPTOM_GONE = "symptom.gone"  # the alert's own condition, read back after the proof: {"verdict", "value"}
    ESCALATED = "escalated"  # a rollback failed or did not help, and people were paged: {"alert", "tell"}
    REMEDY_STARTED = "remedy.started"  # the runbook's restart or scaling, carried out: {"remedy", "command"}
    REMEDY_PROVEN = "remedy.proven"  # {"verdict", "message", "remedy"}
    POD_GONE = "pod.gone"
    POD_READY = "pod.ready"
    CONTAINER_ENDED = "container.ended"  # the kubelet's word: {"pod", "container", "reason", "exit_code"}
    RECOVERED = "recovered"  # the steady state was seen again
    HEALED = "healed"  # a fault was undone from the ledger: {"fault"}
    # One second of users, by the load generator's own count (``judge.figures``): {"requests", "errors", "p95_ms": from
    # when they were due, "service_p95_ms": from when they were sent, "kinds": {error: n}, "offered": fell due, "sent",
    # "late", "held", "dropped": never sent, "held_dropped": of these because the system let no user free, "waiting",
    # "users", "cpu", "machine", "lag_ms", "stalled_ms", "exhausted", "workers", "reports"}. Each is counted in the
    # second in which it happened: a request is offered when it is due, sent when it is sent, dropped when it is given
    # up (a second after it was due); an answer, its error and its latency belong to the second in which it is complete.
    TRAFFIC = "traffic"
    NOTE = "note"
    DRILL_ENDED = "drill.ended"


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How far a source's clock is ahead of ours, in seconds: ``skew_s``, give or take ``bound_s``."""

    skew_s: float
    bound_s: float


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened. ``at`` is seconds since the epoch; ``source`` is who says so.

    ``data["clock"]`` names the source whose own clock stamped it; without it, ours did. Where that clock turned out to
    be wrong, ``at`` is corrected, and ``data["raw_at"]`` is what the source said.
    """

    at: float
    kind: Kind
    source: str
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The events of one experiment in order of time."""

    experiment: str
    system: str
    environment: str
    events: tuple[Event, ...]
    clocks: Mapping[str, Clock] = field(default_factory=dict)  # those that were measured, by source

    def of(self, *kinds: Kind) -> Iterator[Event]:
        """The events of these kinds, in order."""
        return (event for event in self.events if event.kind in kinds)

    def first(self, kind: Kind, *, after: float = 0.0, **data: Any) -> Event | None:
        """The first event of this kind at or after ``after`` whose data has these values, or None."""
        for event in self.of(kind):
            if event.at >= after and all(event.data.get(key) == value for key, value in data.items()):
                return event
        return None
