"""What must not follow beside what must: others are left alone, and one rollback is enough."""

from __future__ import annotations

import pytest

from muster.errors import UsageError
from muster.judge.objectives import parse_objectives
from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

ALERT = "X0TTA6BL4ErrorRatioRollback"
PAGE, AGAIN = "must_not other-page", "must_not second-rollback"
TELLS = {"action": "rollback", "tell": "on-call,team-lead"}
CASES = {
    # what is heard besides -> the verdicts of other-page and second-rollback
    "nothing": ([], "PASS", "PASS"),
    "on-call once more": ([(12.0, Kind.PAGE_RECEIVED, {"contact": "on-call", "alert": "Other"})], "PASS", "PASS"),
    "another contact": ([(12.0, Kind.PAGE_RECEIVED, {"contact": "team-lead", "alert": ALERT})], "FAIL", "PASS"),
    "one before the fault": ([(-0.5, Kind.PAGE_RECEIVED, {"contact": "team-lead"})], "PASS", "PASS"),
    "a second rollback": ([(12.0, Kind.ROLLBACK_STARTED, {})], "PASS", "FAIL"),
    "one before it": ([(-0.5, Kind.ROLLBACK_STARTED, {})], "PASS", "PASS"),
    "a trigger that may yet act": ([(12.0, Kind.ALERT_PENDING, {"alert": "A", "labels": TELLS})], "UNKNOWN", "UNKNOWN"),
    "one that tells the same": (
        [(12.0, Kind.ALERT_FIRING, {"alert": "A", "labels": {"action": "scale", "tell": "on-call"}})],
        "PASS",
        "PASS",
    ),
    "one that fires since before": ([(-0.5, Kind.ALERT_FIRING, {"alert": "A", "labels": TELLS})], "PASS", "PASS"),
    "one that says not whom it tells": (
        [(12.0, Kind.ALERT_FIRING, {"alert": "A", "labels": {"action": "none"}})],
        "UNKNOWN",
        "PASS",
    ),
    "one of unknown labels": ([(12.0, Kind.ALERT_FIRING, {"alert": "A"})], "UNKNOWN", "UNKNOWN"),
    "one that is over": (
        [(12.0, Kind.ALERT_PENDING, {"alert": "A", "labels": TELLS}), (12.5, Kind.ALERT_RESOLVED, {"alert": "A"})],
        "PASS",
        "PASS",
    ),
}


@pytest.fixture
def sole(rollback):
    return rollback.model_copy(update={"must_not": ("other-page", "second-rollback")})


@pytest.mark.parametrize("name", CASES)
def test_what_goes_beyond_is_a_failure_and_what_might_yet_is_unknown(make, sole, outcome_of, name):
    """Counted from the fault on; an open alert counts by its own labels."""
    extra, page, again = CASES[name]
    judged = judge(make(extra=extra), sole)
    assert [outcome_of(judged, PAGE).verdict, outcome_of(judged, AGAIN).verdict] == [page, again]


@pytest.mark.parametrize(("lost", "page", "again"), [("inbox", 0, 1), ("responder", 1, 0), ("prometheus", 0, 0)])
def test_what_could_not_be_seen_is_unknown(make, sole, outcome_of, lost, page, again):
    """The pager's for pages, the responder's for rollbacks, and Prometheus' for what is on its way."""
    judged = judge(make(notes={lost: None}), sole)
    verdicts = [outcome_of(judged, name).verdict is Verdict.PASS for name in (PAGE, AGAIN)]
    assert verdicts == [bool(page), bool(again)]
    assert {outcome_of(judged, name).verdict for name in (PAGE, AGAIN)} <= {Verdict.PASS, Verdict.UNKNOWN}


def test_without_a_first_rollback_there_is_no_word_of_a_second(make, sole, outcome_of):
    """Nothing was proven of it; the missing first one is the chain's failure."""
    judged = judge(make(drop=(Kind.ROLLBACK_STARTED,)), sole)
    assert outcome_of(judged, AGAIN).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"must_not": ["other-page"], "alert": ALERT}, "nobody is named by page"),
        ({"must_not": ["second-rollback"], "alert": ALERT, "page": "on-call"}, "no first one is expected"),
        ({"must_not": ["third-rollback"]}, "must_not"),
    ],
)
def test_a_promise_that_goes_beyond_nothing_is_refused(given, words):
    """One sentence that names the key."""
    with pytest.raises(UsageError, match=words):
        parse_objectives({"name": "muster", **given}, where="test")
