"""A story as a drill records it, for what shows and draws it."""

from __future__ import annotations

import pytest

from muster.timeline import Event, Kind, Timeline

ALERT = "X0TTA6BL4ErrorRatioRollback"
T0 = 1_000_000.0
STORY = (
    (0.0, Kind.FAULT_INJECTED, {}),
    (2.0, Kind.FAULT_CONFIRMED, {}),
    (2.4, Kind.ALERT_PENDING, {"alert": ALERT}),
    (4.0, Kind.ALERT_FIRING, {"alert": "X0TTA6BL4HighErrorRate"}),
    (7.4, Kind.ALERT_FIRING, {"alert": ALERT}),
    (7.45, Kind.WEBHOOK_RECEIVED, {"alert": ALERT}),
    (7.46, Kind.PAGE_RECEIVED, {"alert": ALERT, "contact": "on-call"}),
    (7.5, Kind.DECIDED, {"alert": ALERT, "decision": "roll back"}),
    (7.6, Kind.ROLLBACK_STARTED, {"alert": ALERT}),
    (9.4, Kind.TRAFFIC_OFF, {}),
    (9.5, Kind.ROLLBACK_PROVEN, {"verdict": "PASS"}),
    (11.0, Kind.RECOVERED, {}),
)


@pytest.fixture
def make_story():
    """``make_story(drop=(Kind, ...), traffic=True)`` -> Timeline."""

    def make(*, drop=(), traffic=True):
        rows = [row for row in STORY if row[1] not in drop]
        if traffic:
            rows += [
                (s + 0.3, Kind.TRAFFIC, {"requests": 500, "errors": 75 * (2 <= s < 9), "p95_ms": 12.0})
                for s in range(-6, 16)
            ]
        events = (Event(at=T0 + at, kind=kind, source="test", data=data) for at, kind, data in sorted(rows, key=str))
        ordered = tuple(sorted(events, key=lambda event: event.at))
        return Timeline(experiment="bad-release", system="x0tta6bl4", environment="lab", events=ordered)

    return make
