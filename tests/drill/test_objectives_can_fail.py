"""Every objective of every experiment can fail: the negative control, generated from the experiments themselves.

From an experiment's promises a timeline is made in which all are kept; then one is broken at a time. An experiment that
is added is covered by itself; an objective of a new kind fails here until it is said how it is broken.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fulfilled as stories
import pytest

from muster.timeline import Kind
from muster.verdict import Verdict

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
CASES = {file.stem: stories.Case(file) for file in FILES}
outcome_of, shortened = stories.outcome_of, stories.shortened
LATE_S = 1000.0
OBJECTIVES = [(name, one) for name, case in CASES.items() for one in stories.names(case.judge(case.kept).outcomes)]


def _unsteady(story):
    """The last look at the steady state finds it broken."""
    last = max(event.at for event in story.events if event.kind is Kind.STEADY)
    return story.change(Kind.STEADY, lambda e: replace(e, data=e.data | {"verdict": "FAIL"}) if e.at == last else e)


def _alert(story):
    """The alert of this story."""
    return next(event.data["alert"] for event in story.events if event.kind is Kind.ALERT_FIRING)


def _users(story, **data):
    """Users who were told of something else in each second."""
    return story.change(Kind.TRAFFIC, lambda event: replace(event, data=event.data | data))


def _overloaded(story):
    """A third of what was due was never sent, all the time, on a machine without a core left."""
    return _users(story, dropped=400, held_dropped=400, machine=0.99)


FORBIDDEN = {
    "page": lambda s: s.add(2.0, Kind.PAGE_RECEIVED, alert="Any", contact="on-call"),
    "rollback": lambda s: s.add(2.0, Kind.DECIDED, decision="roll back"),
    "other-page": lambda s: s.add(2.0, Kind.PAGE_RECEIVED, alert="Any", contact="senior"),
    "second-rollback": lambda s: s.add(9.0, Kind.ROLLBACK_STARTED),
}
# How each objective is broken, by its first word. The second word is a contact, an alert, a check or a thing forbidden.
BREAK = {
    "alert": lambda s, _: s.drop(Kind.ALERT_PENDING, Kind.ALERT_FIRING),
    "page": lambda s, who: s.drop(Kind.PAGE_RECEIVED, **({"contact": who} if who else {})),
    "kill": lambda s, _: s.drop(Kind.CONTAINER_ENDED),
    "finding": lambda s, _: s.drop(Kind.CHECK_FAILED),
    "webhook": lambda s, _: s.drop(Kind.WEBHOOK_RECEIVED),
    "decision": lambda s, _: s.drop(Kind.DECIDED),
    "rollback": lambda s, _: s.drop(Kind.ROLLBACK_STARTED),
    "proof": lambda s, _: s.change(Kind.ROLLBACK_PROVEN, lambda e: replace(e, data={"verdict": "FAIL"})),
    "symptom": lambda s, _: s.change(Kind.SYMPTOM_GONE, lambda e: replace(e, data=e.data | {"verdict": "FAIL"})),
    "undo": lambda s, _: s.drop(Kind.HEALED),
    "recovery": lambda s, _: _unsteady(s.drop(Kind.RECOVERED)),
    "hypothesis": lambda s, _: _unsteady(s),
    "detect_within": lambda s, _: s.delay(Kind.ALERT_FIRING, LATE_S),
    "predicted": lambda s, _: s.delay(Kind.ALERT_FIRING, LATE_S),
    "page_within": lambda s, _: s.delay(Kind.PAGE_RECEIVED, LATE_S),
    "webhook_within": lambda s, _: s.delay(Kind.WEBHOOK_RECEIVED, LATE_S),
    "decide_within": lambda s, _: s.delay(Kind.DECIDED, LATE_S),
    "traffic_off_within": lambda s, _: s.delay(Kind.TRAFFIC_OFF, LATE_S),
    "rollback_within": lambda s, _: s.delay(Kind.ROLLBACK_PROVEN, LATE_S),
    "finds_within": lambda s, _: s.delay(Kind.CHECK_FAILED, LATE_S),
    "recovered_within": lambda s, _: s.delay(Kind.RECOVERED, LATE_S).fill(Kind.TRAFFIC),
    "must_not": lambda s, what: FORBIDDEN[what](s),
    "blind": lambda s, alert: s.add(2.0, Kind.ALERT_FIRING, alert=alert),
    "unknown": lambda s, _: s.change(Kind.STEADY, lambda e: replace(e, data=e.data | {"unknown": []})),
    "breaks": lambda s, _: s.add(2.0, Kind.PAGE_RECEIVED, alert=_alert(s), contact="on-call"),
    "user_errors_below": lambda s, _: s.change(Kind.TRAFFIC, lambda e: replace(e, data=e.data | {"errors": 1000})),
    "user_p95_above": lambda s, _: s.change(Kind.TRAFFIC, lambda e: replace(e, data=e.data | {"p95_ms": 1.0})),
}
# What rests on which source: with it lost, these are UNKNOWN.
RESTS = {
    "prometheus": {"alert", "blind", "must_not"},
    "inbox": {"page", "must_not page", "must_not other-page", "breaks"},
    "responder": {
        "webhook",
        "decision",
        "rollback",
        "proof",
        "symptom",
        "must_not rollback",
        "must_not second-rollback",
    },
    "kubernetes": {"kill"},
    "load": {"load", "user_errors_below", "user_p95_above"},
    "checks": {"finding", "unknown", "recovery", "hypothesis"},
}
LINKS = {"alert", "page", "kill", "finding", "webhook", "decision", "rollback", "proof", "symptom", "undo", "recovery"}
OURS = {"fault", "undo"}  # what the drill itself does is known to it


@pytest.mark.parametrize("name", CASES)
def test_with_every_promise_kept_the_experiment_passes(name):
    """So that what follows fails for the one thing that it breaks."""
    judgement = CASES[name].judge(CASES[name].kept)
    assert judgement.verdict is Verdict.PASS, judgement.sentence


@pytest.mark.parametrize(("name", "objective"), OBJECTIVES)
def test_a_broken_promise_fails_and_is_named(name, objective):
    """FAIL, with a sentence; a link of the chain is named as the one that broke."""
    case = CASES[name]
    word, _, what = objective.partition(" ")
    if word == "fault":
        broken = case.judge(case.kept.drop(Kind.FAULT_CONFIRMED))
        assert broken.verdict is Verdict.UNKNOWN  # nothing was tested: that is no failure of the system, and no pass
        assert broken.broken == "fault"
        return
    if word == "load":
        doubted = case.judge(_overloaded(case.kept))
        assert outcome_of(doubted, "load").verdict is Verdict.UNKNOWN  # the machine's doing is no failure of the system
        assert "all cores were busy" in outcome_of(doubted, "load").message
        assert doubted.verdict is Verdict.UNKNOWN
        return
    judgement = case.judge(BREAK[word](case.kept, what))
    outcome = outcome_of(judgement, objective)
    assert (judgement.verdict, outcome.verdict) == (Verdict.FAIL, Verdict.FAIL), outcome.message
    assert outcome.message
    if objective in LINKS and not case.promised.breaks:  # where a link must be missing, it is the one that is named
        assert judgement.broken == objective


WITH_USERS = [name for name, case in CASES.items() if case.promised.load]
RECOVERING = [name for name in WITH_USERS if (name, "recovery") in OBJECTIVES]


@pytest.mark.parametrize(("data", "verdict"), [({}, Verdict.FAIL), ({"machine": 0.99}, Verdict.UNKNOWN)])
@pytest.mark.parametrize("name", RECOVERING)
def test_a_recovery_without_users_who_are_well_is_none(name, data, verdict):
    """However well the checks were: FAIL by the system's doing, UNKNOWN where its machine had no core left."""
    case = CASES[name]
    slow = case.judge(_users(case.kept, p95_ms=450.0, **data))
    assert outcome_of(slow, "recovery").verdict is verdict
    assert "users' P95 was 450 ms" in outcome_of(slow, "recovery").message
    assert slow.verdict is verdict
    if not case.promised.breaks:
        assert slow.broken == "recovery"


@pytest.mark.parametrize("name", RECOVERING)
def test_a_recovery_of_which_users_tell_nothing_is_unknown(name):
    """The checks say that all is well, and nobody knows how users are."""
    case = CASES[name]
    assert outcome_of(case.judge(case.kept.drop(Kind.TRAFFIC)), "recovery").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("source", RESTS)
@pytest.mark.parametrize("name", CASES)
def test_what_could_not_be_read_is_unknown_and_never_a_pass(name, source):
    """With one source lost, all that rests on it is UNKNOWN, and so is the experiment unless something failed."""
    case = CASES[name]
    judgement = case.judge(case.kept.lose(source))
    resting = [
        outcome
        for outcome in judgement.outcomes
        if outcome.objective in RESTS[source] or outcome.objective.partition(" ")[0] in RESTS[source]
    ]
    assert all(outcome.verdict is Verdict.UNKNOWN for outcome in resting), resting
    assert judgement.verdict is (Verdict.UNKNOWN if resting else Verdict.PASS)


@pytest.mark.parametrize("name", CASES)
def test_an_experiment_that_saw_nothing_has_proven_nothing(name):
    """Only what the drill itself did is known: not one objective passes."""
    case = CASES[name]
    blind = case.kept
    for source in {*RESTS, "alertmanager"}:
        blind = blind.lose(source)
    judgement = case.judge(blind)
    assert {o.objective for o in judgement.outcomes if o.verdict is not Verdict.UNKNOWN} <= OURS
    assert judgement.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", CASES)
def test_without_a_fault_nothing_was_tested(name):
    """However well everything else looks."""
    case = CASES[name]
    judgement = case.judge(case.kept.drop(Kind.FAULT_INJECTED, Kind.FAULT_CONFIRMED))
    assert {outcome.verdict for outcome in judgement.outcomes} == {Verdict.UNKNOWN}


BLIND = [name for name, case in CASES.items() if case.promised.blind]


@pytest.mark.parametrize("name", BLIND)
def test_a_blind_alert_that_had_no_time_was_not_proven_blind(name):
    """It takes a second to become pending, and six to fire; one that was pending needs those."""
    case = CASES[name]
    short = shortened(case.kept, case, stories.PENDS_S - 0.2)
    enough = shortened(case.kept, case, stories.PENDS_S + 0.2)
    saw = enough
    for alert in case.promised.blind:
        saw = saw.add(1.1, Kind.ALERT_PENDING, alert=alert).add(1.3, Kind.ALERT_RESOLVED, alert=alert)
    for alert in case.promised.blind:
        verdicts = [outcome_of(case.judge(story), f"blind {alert}").verdict for story in (short, enough, saw)]
        assert verdicts == [Verdict.UNKNOWN, Verdict.PASS, Verdict.UNKNOWN]


@pytest.mark.parametrize("name", BLIND)
def test_a_blind_alert_of_which_nobody_says_how_long_it_takes_is_unknown(name):
    """As in a recording from before it was written down."""
    case = CASES[name]
    silent = case.kept.change(Kind.DRILL_STARTED, lambda e: replace(e, data={**e.data, "blind_s": {}}))
    for alert in case.promised.blind:
        assert outcome_of(case.judge(silent), f"blind {alert}").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.promised.finds])
def test_a_check_that_was_skipped_has_not_missed_the_fault(name):
    """Nor has one that does not exist: neither is a failure of the system, and neither is a pass."""
    case = CASES[name]
    skipped = case.kept.drop(Kind.CHECK_FAILED).change(
        Kind.STEADY, lambda event: replace(event, data=event.data | {"asked": list(case.promised.unknown)})
    )
    assert outcome_of(case.judge(skipped), "finding").verdict is Verdict.UNKNOWN
