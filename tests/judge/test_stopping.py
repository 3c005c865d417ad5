"""When an experiment is ended before its time."""

from __future__ import annotations

import pytest

from muster.judge.stopping import StopConditions, unrelated_alert, users_suffer
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

BUDGET = StopConditions.model_validate({"user_errors_above": "30%", "over": "5s"})


def timeline(errors, *, fault_at=0.0):
    """A timeline with one second of 100 requests for each number of errors; the first second is 0."""
    events = [Event(at=fault_at, kind=Kind.FAULT_INJECTED, source="test")] if fault_at is not None else []
    events += [
        Event(at=float(at), kind=Kind.TRAFFIC, source="load", data={"requests": 100, "errors": count, "p95_ms": 1.0})
        for at, count in enumerate(errors)
    ]
    events.sort(key=lambda event: event.at)
    return Timeline(experiment="e", system="s", environment="lab", events=tuple(events))


def alert(name="Broken", *, state="firing", severity="critical", system="s"):
    return {"state": state, "labels": {"alertname": name, "severity": severity, "system": system}}


def test_users_over_the_budget_stop_the_drill():
    """31 of 100 fail in each of the last five seconds: over 30%."""
    stop = users_suffer(timeline([0, 0, 31, 31, 31, 31, 31]), BUDGET, allowed=0.5)
    assert stop.verdict is Verdict.FAIL
    assert stop.reason == "31% of users' requests failed over the last 5 s, and the drill's budget is 30%"


def test_an_experiment_without_a_budget_has_its_environments():
    """The guard's share counts there, and only there."""
    none = StopConditions()
    assert users_suffer(timeline([6] * 10), none, allowed=0.05).verdict is Verdict.FAIL
    assert users_suffer(timeline([6] * 10), none, allowed=0.06) is None
    assert users_suffer(timeline([6] * 10), BUDGET, allowed=0.05) is None


@pytest.mark.parametrize(
    ("errors", "fault_at"),
    [
        ([30] * 10, 0.0),  # at the budget, not over it
        ([100, 100, 0, 0, 0, 0, 0], 0.0),  # over, and past
        ([100, 100, 100, 100], 0.0),  # shorter than the budget's time
        ([100] * 10, None),  # no fault: it is not the drill's doing
        ([100] * 10, 7.0),  # three seconds since the fault
        ([], 0.0),
    ],
)
def test_users_within_the_budget_do_not(errors, fault_at):
    """Nothing is stopped by what is past, brief, allowed, or older than the fault."""
    assert users_suffer(timeline(errors, fault_at=fault_at), BUDGET, allowed=0.5) is None


def test_a_share_over_nothing_is_not_judged():
    """Seconds without a request have no error ratio."""
    quiet = timeline([0] * 10)
    silent = [Event(at=e.at, kind=e.kind, source=e.source, data={**e.data, "requests": 0}) for e in quiet.events]
    assert (
        users_suffer(Timeline(experiment="e", system="s", environment="lab", events=tuple(silent)), BUDGET, allowed=0.5)
        is None
    )


def test_another_systems_incident_takes_the_hands_away():
    """Its alert cannot be this experiment's doing: UNKNOWN, whatever was promised."""
    stop = unrelated_alert([alert("DiskFull", system="db")], system="s", environment="lab", quiet=False)
    assert stop.verdict is Verdict.UNKNOWN
    assert "DiskFull" in stop.reason
    assert "db" in stop.reason


def test_an_incident_of_this_system_elsewhere_takes_the_hands_away():
    """Production burns while staging is drilled: first things first."""
    burning = {**alert(), "labels": {**alert()["labels"], "environment": "production"}}
    stop = unrelated_alert([burning], system="s", environment="lab", quiet=True)
    assert stop.verdict is Verdict.UNKNOWN
    assert "in production" in stop.reason


def test_an_own_alert_stops_only_where_silence_was_promised():
    """A drill that expects to be detected goes on; one that must page nobody has failed."""
    assert unrelated_alert([alert()], system="s", environment="lab", quiet=False) is None
    assert unrelated_alert([alert()], system="s", environment="lab", quiet=True).verdict is Verdict.FAIL


@pytest.mark.parametrize("harmless", [alert(state="pending", system="db"), alert(severity="warning", system="db")])
def test_what_is_not_critical_or_not_firing_stops_nothing(harmless):
    """Pending alerts and warnings are for people to look at later."""
    assert unrelated_alert([harmless], system="s", environment="lab", quiet=True) is None
