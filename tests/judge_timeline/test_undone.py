"""A drill that leaves a fault behind has not passed, whatever else it proved."""

from __future__ import annotations

import pytest

from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

FAULT = (0.0, Kind.FAULT_INJECTED, {"fault": "f1"})
HEALED = (11.0, Kind.HEALED, {"fault": "f1", "message": "it runs its good release again"})
NOT = (11.0, Kind.NOTE, {"fault": "f1", "message": "not healed: the API server is out of reach"})


@pytest.fixture
def judged(make, rollback, outcome_of):
    """The verdict of a drill that kept every other promise, and of its ``undone``, with these events."""

    def judge_it(*events):
        judgement = judge(make(drop=(Kind.FAULT_INJECTED, Kind.HEALED), extra=events), rollback, window_s=5.0)
        outcome = outcome_of(judgement, "undone")
        return judgement.verdict, outcome.verdict, outcome.message

    return judge_it


def test_what_was_undone_is_said(judged):
    """By the id of the fault, not by any healing."""
    assert judged(FAULT, HEALED)[:2] == (Verdict.PASS, Verdict.PASS)


def test_what_could_not_be_undone_fails_the_drill(judged):
    """The reason is the healing's own, and the way out is named."""
    *verdicts, message = judged(FAULT, NOT)
    assert verdicts == [Verdict.FAIL, Verdict.FAIL]
    assert "out of reach" in message
    assert "muster heal" in message


def test_a_later_success_counts(judged):
    """Healing may be tried again."""
    assert judged(FAULT, NOT, (12.0, *HEALED[1:]))[1] is Verdict.PASS


@pytest.mark.parametrize("other", [(), ((11.0, Kind.HEALED, {"fault": "another"}),)])
def test_a_fault_that_nobody_speaks_of_is_unknown(judged, other):
    """No news of it is not good news."""
    assert judged(FAULT, *other)[:2] == (Verdict.UNKNOWN, Verdict.UNKNOWN)
