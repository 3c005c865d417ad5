"""A story as a drill records it, for what shows and draws it; and the lab, for drills that are cut short."""

from __future__ import annotations

import json

import pytest
from drill_ground import Ground
from users_told import second

from muster.faults import Ledger
from muster.timeline import Event, Kind, Timeline
from muster.wait import wait_until

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
    (10.4, Kind.SYMPTOM_GONE, {"alert": ALERT, "verdict": "PASS"}),
    (11.0, Kind.RECOVERED, {}),
)


@pytest.fixture
def make_story():
    """``make_story(drop=(Kind, ...), traffic=True)`` -> Timeline."""

    def make(*, drop=(), traffic=True):
        rows = [row for row in STORY if row[1] not in drop]
        if traffic:
            rows += [(s + 0.3, Kind.TRAFFIC, second(errors=75 * (2 <= s < 9))) for s in range(-6, 16)]
        events = (Event(at=T0 + at, kind=kind, source="test", data=data) for at, kind, data in sorted(rows, key=str))
        ordered = tuple(sorted(events, key=lambda event: event.at))
        return Timeline(experiment="bad-release", system="x0tta6bl4", environment="lab", events=ordered)

    return make


@pytest.fixture(scope="module")
def module_ground(lab, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_STATE", lab["state"])
        found = Ground(lab, tmp_path_factory.mktemp("ground"))
        yield found
        found.kube.close()


@pytest.fixture
def ground(module_ground):
    """The lab, whole; whatever became of the test, nothing is left in it."""
    wait_until(module_ground.whole, bool, what="a whole lab", timeout_s=60)
    yield module_ground
    assert Ledger(module_ground.state).left() == []
    assert "FAULT_" not in json.dumps(module_ground.kube.get(module_ground.path)["spec"])
    wait_until(module_ground.whole, bool, what="a whole lab again", timeout_s=60)
    wait_until(module_ground.left, lambda left: not any(left.values()), what="nothing left", timeout_s=10)
