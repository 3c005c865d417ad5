"""When an experiment is ended before its time."""

from __future__ import annotations

import pytest

from muster.errors import UsageError
from muster.judge.objectives import parse_objectives, related
from muster.judge.stopping import StopConditions, everybody_suffers, unrelated_alert, users_suffer, users_unheard
from muster.system import load_system
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


def test_everybody_over_the_budget_stops_the_drill():
    """The service's own count, whoever asked; the experiment's budget, else its environment's."""
    stop = everybody_suffers(0.31, BUDGET, allowed=0.1, over_s=60.0)
    assert stop.verdict is Verdict.FAIL
    assert stop.reason == "by Prometheus, 31% of all requests failed over the last 60 s, and the drill's budget is 30%"
    assert everybody_suffers(0.3, BUDGET, allowed=0.1, over_s=60.0) is None
    assert everybody_suffers(0.11, StopConditions(), allowed=0.1, over_s=60.0).verdict is Verdict.FAIL


def told(*answered, fault_at=0.0):
    """A timeline in which these seconds had 100 requests, and the others up to the last had none."""
    events = [Event(at=fault_at, kind=Kind.FAULT_INJECTED, source="test")] if fault_at is not None else []
    for at in range(max(answered, default=0) + 3):
        data = {"requests": 100 * (at in answered), "errors": 0, "p95_ms": None}
        events.append(Event(at=float(at), kind=Kind.TRAFFIC, source="load", data=data))
    events.sort(key=lambda event: event.at)
    return Timeline(experiment="e", system="s", environment="lab", events=tuple(events))


def test_users_without_any_answer_stop_the_drill():
    """Hung requests fail nobody's budget: that no request failed is no sign that users are well."""
    conditions = StopConditions.model_validate({"no_answers": "4s"})
    stop = users_unheard(told(1, 2), conditions, now=7.5)
    assert stop.verdict is Verdict.UNKNOWN
    assert stop.reason == "no request of users was answered for 4.5 s, and no_answers is 4 s"
    assert users_unheard(told(1, 2), conditions, now=6.9) is None


def test_users_of_whom_nothing_is_told_are_counted_from_the_fault():
    """A generator that tells of no second at all; before a fault it is not the drill's doing."""
    nothing = StopConditions.model_validate({"no_answers": "4s"})
    assert users_unheard(told(fault_at=2.0), nothing, now=6.1).verdict is Verdict.UNKNOWN
    assert users_unheard(told(fault_at=2.0), nothing, now=5.9) is None
    assert users_unheard(told(fault_at=None), nothing, now=99.0) is None
    assert StopConditions().no_answers_s == 10.0


HERE = {"system": "s", "environment": "lab", "broken": True, "quiet": False, "expected": frozenset({"Broken"})}


def stop_of(*alerts, **changes):
    return unrelated_alert(alerts, **{**HERE, **changes})


def test_another_systems_incident_takes_the_hands_away():
    """Its alert cannot be this experiment's doing: UNKNOWN, whatever was promised, and before the fault as well."""
    for broken in (True, False):
        stop = stop_of(alert("DiskFull", system="db"), broken=broken)
        assert stop.verdict is Verdict.UNKNOWN
        assert "DiskFull" in stop.reason
        assert "db" in stop.reason


def test_what_is_exempt_stops_nothing_and_hides_no_other():
    """By its labels, and only of others: of this system's alerts nobody is even asked."""
    exempt = lambda labels: labels["alertname"] == "Noise"  # noqa: E731
    assert stop_of(alert("Noise", system="db"), exempt=exempt) is None
    assert "DiskFull" in stop_of(alert("Noise", system="db"), alert("DiskFull", system="db"), exempt=exempt).reason
    assert "Noise" in stop_of(alert("Noise"), exempt=exempt).reason


def test_an_alert_of_the_facts_is_of_this_system_whatever_its_labels():
    """Rules written by hand carry none: what the drill expects must not end it."""
    by_hand = alert(system="")
    assert "names no system" in stop_of(by_hand).reason
    assert stop_of(by_hand, names={"Broken"}) is None


def test_an_incident_of_this_system_elsewhere_takes_the_hands_away():
    """Production burns while staging is drilled: first things first."""
    burning = {**alert(), "labels": {**alert()["labels"], "environment": "production"}}
    stop = stop_of(burning, quiet=True)
    assert stop.verdict is Verdict.UNKNOWN
    assert "in production" in stop.reason


def test_an_expected_alert_stops_only_where_silence_was_promised():
    """A drill that expects to be detected goes on; one that must page nobody has failed."""
    assert stop_of(alert()) is None
    assert stop_of(alert(), quiet=True).verdict is Verdict.FAIL


def test_an_own_alert_that_the_experiment_does_not_name_stops_it():
    """Something else broke, or more than was agreed to: nobody can tell which, so UNKNOWN."""
    stop = stop_of(alert(), alert("DiskFull"))
    assert stop.verdict is Verdict.UNKNOWN
    assert stop.reason.startswith("the critical alert DiskFull fires, and the experiment neither expects it")


def test_before_the_fault_an_own_alert_is_the_hypothesis_business():
    """The steady state then does not hold, and nothing is broken."""
    assert stop_of(alert("DiskFull"), broken=False) is None
    assert stop_of(alert(), broken=False, quiet=True) is None


def test_what_may_come_with_a_fault_is_what_the_experiment_names_and_its_alerts_indicator():
    """A limit is passed on the way to the next one of the same indicator; anything else must be declared."""
    system = load_system("x0tta6bl4")
    bad = {"name": "muster", "alert": "X0TTA6BL4ErrorRatioRollback", "blind": ["X0TTA6BL4HighCPUUsage"]}
    named = parse_objectives(bad, where="test", system=system)
    errors = {"X0TTA6BL4ErrorRatioRollback", "X0TTA6BL4HighErrorRate", "X0TTA6BL4HighErrorRateCritical"}
    assert related(named, system) == errors | {"X0TTA6BL4HighCPUUsage"}
    more = parse_objectives(bad | {"may_fire": ["X0TTA6BL4DownRollback"]}, where="test", system=system)
    assert related(more, system) == related(named, system) | {"X0TTA6BL4DownRollback"}
    with pytest.raises(UsageError, match="no alert 'Unheard'"):
        parse_objectives(bad | {"may_fire": ["Unheard"]}, where="test", system=system)


@pytest.mark.parametrize("harmless", [alert(state="pending", system="db"), alert(severity="warning", system="db")])
def test_what_is_not_critical_or_not_firing_stops_nothing(harmless):
    """Pending alerts and warnings are for people to look at later."""
    assert stop_of(harmless, quiet=True) is None
