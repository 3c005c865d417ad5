"""The first law in the judge of drills: no data is never a pass."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from muster.errors import UsageError
from muster.judge.objectives import parse_objectives, window_s
from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

LOST = {"reads": 10, "error": "timed out after 2 s", "refused": False}


@pytest.mark.parametrize(
    ("source", "drop", "link"),
    [
        ("prometheus", (Kind.ALERT_FIRING, Kind.ALERT_PENDING), "alert"),
        ("inbox", (Kind.PAGE_RECEIVED,), "page"),
        ("responder", (Kind.WEBHOOK_RECEIVED,), "webhook"),
        ("responder", (Kind.DECIDED,), "decision"),
        ("responder", (Kind.ROLLBACK_PROVEN,), "proof"),
    ],
)
@pytest.mark.parametrize("lost", [LOST, None], ids=["lost", "never read"])
def test_a_missing_event_of_a_lost_source_is_unknown(make, rollback, outcome_of, source, drop, link, lost):
    """An event that could not have been seen is UNKNOWN, and the sentence names the source."""
    judgement = judge(make(drop=drop, notes={source: lost}), rollback, window_s=5.0)
    outcome = outcome_of(judgement, link)
    assert outcome.verdict is Verdict.UNKNOWN
    assert f"{source} could not be read" in outcome.message
    assert judgement.verdict is Verdict.UNKNOWN


def test_an_event_that_was_seen_is_proof_even_if_its_source_was_lost_later(make, rollback):
    """Evidence in hand does not fade when the source does."""
    assert judge(make(notes={"inbox": LOST, "responder": LOST}), rollback, window_s=5.0).verdict is Verdict.PASS


@pytest.mark.parametrize("source", ["inbox", "responder", "prometheus"])
def test_silence_that_was_not_listened_to_is_unknown(make, quiet, killed, source):
    """No page is only a promise kept where the inbox, the responder and the alerts were read to the end."""
    judgement = judge(make(story=killed, rps=(500, 0), notes={source: LOST}), quiet)
    assert judgement.verdict is Verdict.UNKNOWN


def test_a_refusing_responder_makes_the_absence_of_a_rollback_unknown(make, quiet, killed, outcome_of):
    """A dead responder rolls nothing back: that proves nothing about a living one."""
    refused = {"reads": 0, "error": "connection refused", "refused": True}
    judgement = judge(make(story=killed, rps=(500, 0), notes={"responder": refused}), quiet)
    assert outcome_of(judgement, "must_not rollback").verdict is Verdict.UNKNOWN


def test_a_drill_that_ends_while_an_alert_is_pending_has_not_proven_silence(make, quiet, killed, outcome_of):
    """The page might have come a second later."""
    pending = (2.0, Kind.ALERT_PENDING, {"alert": "X0TTA6BL4DownRollback"})
    judgement = judge(make(story=killed, rps=(500, 0), extra=[pending]), quiet)
    assert outcome_of(judgement, "must_not page").verdict is Verdict.UNKNOWN
    assert "X0TTA6BL4DownRollback was still pending" in outcome_of(judgement, "must_not page").message
    resolved = (5.0, Kind.ALERT_RESOLVED, {"alert": "X0TTA6BL4DownRollback"})
    assert judge(make(story=killed, rps=(500, 0), extra=[pending, resolved]), quiet).verdict is Verdict.PASS


@pytest.mark.parametrize("lost", [{"reads": 5, "error": "locust ended with exit code 1"}, None])
def test_a_dead_load_generator_makes_its_objectives_unknown(make, rollback, outcome_of, lost):
    """Users that stopped asking did not get errors, and did not get answers either."""
    judgement = judge(make(notes={"load": lost}), rollback, window_s=5.0)
    assert outcome_of(judgement, "user_errors_below").verdict is Verdict.UNKNOWN
    assert judgement.verdict is Verdict.UNKNOWN


def test_no_request_after_the_fault_is_unknown(make, rollback, outcome_of):
    """Zero of zero requests is no error ratio."""
    judgement = judge(make(rps=(0, 0)), rollback, window_s=5.0)
    assert outcome_of(judgement, "user_errors_below").verdict is Verdict.UNKNOWN


def test_an_experiment_that_never_injected_is_unknown_throughout(make, rollback, quiet):
    """When the steady state did not hold before, nothing was tested, and the sentence says what did not hold."""
    story = ((-1.0, Kind.STEADY, {"verdict": "FAIL", "message": "memory 2.5 GB > 2.4 GB"}),)
    for objectives in (rollback, quiet):
        judgement = judge(make(story=story), objectives, window_s=5.0)
        assert {outcome.verdict for outcome in judgement.outcomes} == {Verdict.UNKNOWN}
        assert judgement.broken == "fault"
        assert "memory 2.5 GB > 2.4 GB" in judgement.outcomes[0].message


def test_a_fault_that_was_never_in_force_proves_nothing(make, rollback):
    """Injected but not confirmed: what did not follow is no failure of the system."""
    judgement = judge(make(story=((0.0, Kind.FAULT_INJECTED, {}),)), rollback, window_s=5.0)
    assert judgement.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        (None, "no entry named 'muster'"),
        ({"name": "muster"}, "nothing is promised"),
        ({"name": "muster", "page": "on-call"}, "no alert is named"),
        ({"name": "muster", "alert": "A", "action": "rollback", "must_not": ["rollback"]}, "must_not forbids it"),
        ({"name": "muster", "alert": "A", "page": "p", "must_not": ["page"]}, "must_not forbids it"),
        ({"name": "muster", "alert": "A", "detect_within": "soon"}, "detect_within"),
        ({"name": "muster", "alert": "A", "colour": "blue"}, "colour"),
        ({"name": "muster", "alert": "A", "user_errors_below": "1%"}, "needs users"),
        ({"name": "muster", "alert": "A", "load": {"rate": 0}}, "load.rate"),
    ],
)
def test_an_objective_that_cannot_be_judged_is_refused_in_one_sentence(extension, words):
    """The sentence names the file, the key and what was expected."""
    with pytest.raises(UsageError, match=r"bad-release\.yaml") as caught:
        parse_objectives(extension, where="bad-release.yaml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_window_of_an_experiment_without_an_alert_is_nothing(quiet):
    """window_s is 0 where no alert is expected; the system is not asked."""
    assert window_s(quiet, SimpleNamespace(alerts={}), 60.0) == 0.0


def test_an_alert_may_have_come_and_gone_while_nobody_looked(make, rollback, outcome_of):
    """Prometheus tells what is, not what was: unread for long in between, an alert that was not seen is UNKNOWN."""
    blinked = {"prometheus": {"longest_gap_s": 8.0}}
    judgement = judge(make(drop=(Kind.ALERT_FIRING, Kind.ALERT_PENDING), notes=blinked), rollback, window_s=5.0)
    assert outcome_of(judgement, "alert").verdict is Verdict.UNKNOWN
    assert "not for 8.0 s at a time" in outcome_of(judgement, "alert").message


def test_pages_without_an_inbox_are_unknown_and_say_where_to_read_on(make, rollback, outcome_of):
    """With PagerDuty nothing can be read back: that is no failure, and no riddle either."""
    judgement = judge(make(drop=(Kind.PAGE_RECEIVED,), notes={"inbox": None}), rollback, window_s=5.0)
    page = outcome_of(judgement, "page")
    assert page.verdict is Verdict.UNKNOWN
    assert page.message.endswith("(the environment names no inbox: docs/drill.md, Proof of pages)")
