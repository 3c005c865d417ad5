"""Timelines made event by event, at seconds after the fault."""

from __future__ import annotations

import pytest
from users_told import LIMITS, second

from muster.judge.objectives import Objectives, parse_objectives
from muster.timeline import Event, Kind, Timeline

T0 = 1_000_000.0
ALERT = "X0TTA6BL4ErrorRatioRollback"
SOURCES = ("prometheus", "inbox", "responder", "kubernetes", "load")
STORY = (
    (-1.0, Kind.DRILL_STARTED, {"listen_s": {"page": 15.0, "rollback": 10.0}} | LIMITS),
    (0.0, Kind.FAULT_INJECTED, {}),
    (1.0, Kind.FAULT_CONFIRMED, {}),
    (1.4, Kind.ALERT_PENDING, {"alert": ALERT}),
    (6.4, Kind.ALERT_FIRING, {"alert": ALERT}),
    (6.5, Kind.PAGE_RECEIVED, {"alert": ALERT, "contact": "on-call", "channel": "pagerduty"}),
    (6.5, Kind.WEBHOOK_RECEIVED, {"alert": ALERT}),
    (6.6, Kind.DECIDED, {"alert": ALERT, "decision": "roll back", "reason": "error ratio"}),
    (6.7, Kind.ROLLBACK_STARTED, {"alert": ALERT}),
    (7.4, Kind.TRAFFIC_OFF, {}),
    (8.0, Kind.ROLLBACK_PROVEN, {"verdict": "PASS", "message": "revision 1"}),
    (8.8, Kind.SYMPTOM_GONE, {"alert": ALERT, "verdict": "PASS", "message": "error_ratio is 0.1%"}),
    (9.0, Kind.ALERT_RESOLVED, {"alert": ALERT}),
    (10.0, Kind.RECOVERED, {}),
    (10.2, Kind.STEADY, {"verdict": "PASS", "message": "47 checks held"}),
    (10.5, Kind.HEALED, {"fault": "bad-release"}),
)


def note(source, at=20.0, **data):
    """One source's note: well read, unless ``data`` says otherwise."""
    read = {"reads": 50, "error": "", "refused": False, "last_good_at": T0 + at}
    return at, Kind.NOTE, {"source": source} | read | data


@pytest.fixture
def make():
    """``make(drop=(Kind, ...), notes={"inbox": {"error": "..."}}, extra=[(at, kind, data)])`` -> Timeline."""

    def build(*, drop=(), notes=None, extra=(), story=STORY, rps=(500, 2)):
        rows = [row for row in story if row[1] not in drop]
        notes = {name: {} for name in SOURCES} | (notes or {})
        rows += [note(name, **data) for name, data in notes.items() if data is not None]
        rows += [(float(s), Kind.TRAFFIC, second(*rps)) for s in range(-5, 20)]
        rows += list(extra)
        events = tuple(
            Event(at=T0 + at, kind=kind, source=data.get("source", "test"), message=data.get("message", ""), data=data)
            for at, kind, data in sorted(rows, key=lambda row: row[0])
        )
        return Timeline(experiment="bad-release", system="x0tta6bl4", environment="lab", events=events)

    return build


@pytest.fixture
def rollback() -> Objectives:
    """Everything that a bad release promises."""
    return parse_objectives(
        {
            "name": "muster",
            "alert": ALERT,
            "page": "on-call",
            "action": "rollback",
            "detect_within": "1s",
            "webhook_within": "1.2s",
            "page_within": "1s",
            "decide_within": "1s",
            "traffic_off_within": "1s",
            "rollback_within": "3s",
            "recovered_within": "5s",
            "user_errors_below": "20%",
            "load": {"rate": 500, "users": 50},
        },
        where="test",
    )


@pytest.fixture
def quiet() -> Objectives:
    """Everything that a pod kill promises."""
    return parse_objectives(
        {
            "name": "muster",
            "must_not": ["page", "rollback"],
            "recovered_within": "10s",
            "user_errors_below": "1%",
            "load": {"rate": 500},
        },
        where="test",
    )


@pytest.fixture
def killed():
    """The story of a pod kill that nobody needed to hear of."""
    return (
        STORY[0],
        (0.0, Kind.FAULT_INJECTED, {}),
        (0.2, Kind.FAULT_CONFIRMED, {}),
        (0.2, Kind.POD_GONE, {"pod": "a"}),
        (2.0, Kind.POD_READY, {"pod": "b"}),
        (3.0, Kind.RECOVERED, {}),
        (3.1, Kind.STEADY, {"verdict": "PASS", "message": "47 checks held"}),
    )


@pytest.fixture
def outcome_of():
    """The outcome of that name; it must exist exactly once."""

    def find(judgement, name):
        (found,) = [outcome for outcome in judgement.outcomes if outcome.objective == name]
        return found

    return find
