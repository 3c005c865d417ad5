"""Silence as an answer: not while an alert may yet act, and only for as long as somebody listened."""

from __future__ import annotations

import pytest

from muster.judge.silence import missed_s, open_alerts
from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

ALERT = "X0TTA6BL4ErrorRatioRollback"
PENDING, FIRING, RESOLVED = Kind.ALERT_PENDING, Kind.ALERT_FIRING, Kind.ALERT_RESOLVED
CASES = {
    # what happened to the alert by its kinds, its labels, and what must_not page and must_not rollback then are
    "pending": ([PENDING], {"action": "rollback", "tell": "on-call"}, "UNKNOWN", "UNKNOWN"),
    "firing, nobody told yet": ([PENDING, FIRING], {"action": "rollback", "tell": "on-call"}, "UNKNOWN", "UNKNOWN"),
    "firing, labels not recorded": ([PENDING, FIRING], None, "UNKNOWN", "UNKNOWN"),
    "pages, rolls nothing back": ([PENDING, FIRING], {"action": "escalate", "tell": "on-call"}, "UNKNOWN", "PASS"),
    "tells nobody": ([PENDING, FIRING], {"action": "none", "tell": ""}, "PASS", "PASS"),
    "no rule of ours": ([FIRING], {"severity": "warning"}, "UNKNOWN", "PASS"),
    "over": ([PENDING, FIRING, RESOLVED], {"action": "rollback", "tell": "on-call"}, "PASS", "PASS"),
    "again": ([PENDING, RESOLVED, FIRING], {"action": "rollback", "tell": "on-call"}, "UNKNOWN", "UNKNOWN"),
}


def events(kinds, labels, begin=12.0):
    data = {"alert": ALERT} if labels is None else {"alert": ALERT, "labels": labels}
    return [(begin + second, kind, data) for second, kind in enumerate(kinds)]


@pytest.mark.parametrize("name", CASES)
def test_an_alert_that_may_yet_act_leaves_the_silence_unknown(make, quiet, killed, outcome_of, name):
    """Pending or firing alike, whatever waits for its group; but only of what that alert can do."""
    kinds, labels, page, rollback = CASES[name]
    judgement = judge(make(story=killed, rps=(500, 0), extra=events(kinds, labels)), quiet)
    outcomes = [outcome_of(judgement, f"must_not {what}") for what in ("page", "rollback")]
    assert [outcome.verdict for outcome in outcomes] == [page, rollback]
    for outcome in outcomes:
        assert (f"while {ALERT} was still" in outcome.message) is (outcome.verdict is Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("at", "decided", "verdict"),
    [
        (14.0, {"decision": "refuse", "final": True}, Verdict.PASS),
        (14.0, {"decision": "refuse", "final": False}, Verdict.UNKNOWN),  # it will look again by itself
        (11.0, {"decision": "refuse", "final": True}, Verdict.UNKNOWN),  # of an earlier time
    ],
)
def test_an_alert_that_has_had_its_say_leaves_nothing_open(make, quiet, killed, outcome_of, at, decided, verdict):
    """What fires on after the responder refused it for good rolls nothing back any more."""
    fires = events([RESOLVED, FIRING], {"action": "rollback", "tell": "on-call"})
    extra = [*fires, (at, Kind.DECIDED, {"alert": ALERT, **decided})]
    judgement = judge(make(story=killed, rps=(500, 0), extra=extra), quiet)
    assert outcome_of(judgement, "must_not rollback").verdict is verdict


def test_what_fired_before_the_fault_cannot_follow_from_it_and_what_was_pending_then_may(
    make, quiet, killed, outcome_of
):
    """The fault may be what lets a pending one fire; what fired already was told of before."""
    labels = {"action": "rollback", "tell": "on-call"}
    for kinds, verdict in (([PENDING, FIRING], Verdict.PASS), ([PENDING], Verdict.UNKNOWN)):
        judgement = judge(make(story=killed, extra=events(kinds, labels, begin=-3.0)), quiet, window_s=0.0)
        assert outcome_of(judgement, "must_not page").verdict is verdict


def test_open_alerts_are_those_that_are_not_over(make, killed):
    """By name, with the event that says so; probe and judge ask the same."""
    other = [(12.0, FIRING, {"alert": "A"}), (12.0, PENDING, {"alert": "B"}), (13.0, RESOLVED, {"alert": "B"})]
    found = open_alerts(make(story=killed, extra=other))
    assert {name: event.kind for name, event in found.items()} == {"A": FIRING}


# Needed: 15 s from the confirmed fault at 0.2 on. The note is left at 20.
HEARD = {
    "to the end": ({}, (), Verdict.PASS),
    "the watcher was joined long after its last look": ({"last_good_at": 1_000_015.0}, (), Verdict.UNKNOWN),
    "when is not recorded": ({"last_good_at": None}, (), Verdict.UNKNOWN),
    "not for 4 s": ({"longest_gap_s": 4.0}, (), Verdict.PASS),
    "not for 5 s": ({"longest_gap_s": 5.0}, (), Verdict.UNKNOWN),
    "two outages of 3 s": ({"longest_gap_s": 3.0}, ((8.0, 3.0), (14.0, 3.0)), Verdict.UNKNOWN),
    "one of them before the fault": ({"longest_gap_s": 9.0}, ((-0.5, 9.0), (14.0, 3.0)), Verdict.PASS),
    "one that began before it": ({"longest_gap_s": 9.0}, ((4.0, 9.0),), Verdict.PASS),
    "one that ended too late": ({"longest_gap_s": 9.0}, ((6.0, 9.0),), Verdict.UNKNOWN),
}


@pytest.mark.parametrize("name", HEARD)
def test_only_time_in_which_alerts_were_read_was_listened_to(make, quiet, killed, outcome_of, name):
    """From the fault to the last good look, less every outage in between."""
    note, outages, verdict = HEARD[name]
    told = [(at, Kind.NOTE, {"source": "prometheus", "unread_s": unread_s}) for at, unread_s in outages]
    timeline = make(story=killed, rps=(500, 0), notes={"prometheus": note}, extra=told)
    outcome = outcome_of(judge(timeline, quiet), "must_not page")
    assert outcome.verdict is verdict, outcome.message


def test_where_no_alert_could_do_it_none_is_waited_for(make, quiet, killed, outcome_of):
    """A system without alerts pages nobody; that its inbox was read is proof enough, however short the drill."""
    began = (-1.0, Kind.DRILL_STARTED, {"listen_s": {"page": 0.0, "rollback": 5.0}})
    notes = {"prometheus": {"last_good_at": 1_000_000.1}}
    judgement = judge(make(story=(began, *killed[1:]), rps=(500, 0), notes=notes), quiet)
    assert outcome_of(judgement, "must_not page").verdict is Verdict.PASS
    assert outcome_of(judgement, "must_not rollback").verdict is Verdict.UNKNOWN


def test_a_recording_without_outages_has_missed_nothing(make, killed):
    """Nor has one that only speaks of those before the fault."""
    assert missed_s(make(story=killed)) == 0.0
    before = (-0.5, Kind.NOTE, {"source": "prometheus", "unread_s": 9.0})
    assert missed_s(make(story=killed, notes={"prometheus": {"longest_gap_s": 9.0}}, extra=[before])) == 0.0
