"""A release whose pods run and that nobody has seen to be bad tests nothing."""

from __future__ import annotations

import pytest
from users_told import second

from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

SILENT = (Kind.ALERT_PENDING, Kind.ALERT_FIRING, Kind.ALERT_RESOLVED, Kind.PAGE_RECEIVED, Kind.WEBHOOK_RECEIVED)
SILENT += (Kind.DECIDED, Kind.ROLLBACK_STARTED, Kind.TRAFFIC_OFF, Kind.ROLLBACK_PROVEN, Kind.SYMPTOM_GONE)
MEASURED = {"slo": "error_ratio", "bound": 0.1, "above": True, "unit": "ratio"}


def effect(**measured):
    return (19.0, Kind.NOTE, {"source": "effect", "effect": MEASURED | measured})


def verdicts(judgement):
    return {outcome.objective: outcome.verdict for outcome in judgement.outcomes}


@pytest.mark.parametrize(
    ("worst", "said"),
    [(0.001, "error_ratio was 0.1% at its worst (limit 10%)"), (None, "error_ratio has no samples")],
)
def test_a_release_that_neither_users_nor_the_indicator_felt_tested_nothing(make, rollback, worst, said):
    """UNKNOWN, and so is all that did not follow: an alert that is silent about nothing has missed nothing."""
    blinked = (3.0, Kind.ALERT_PENDING, {"alert": "DataAbsent"})  # as at any rollout
    judgement = judge(make(drop=SILENT, extra=[effect(worst=worst), blinked]), rollback, window_s=5.0)
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.broken == "fault"
    assert said in judgement.sentence
    assert "users were well most of the time; what its service makes of that is not known" in judgement.sentence
    assert verdicts(judgement)["alert"] is Verdict.UNKNOWN


def test_an_absence_that_did_not_last_is_no_effect_and_says_how_long_it_was_asked_for(make, rollback):
    """The expected alert was pending for a moment, as at any rollout."""
    absence = {"slo": "down", "bound": 0, "above": True, "unit": "count", "worst": 0.0, "held_s": 12.0}
    blinked = (3.0, Kind.ALERT_PENDING, {"alert": rollback.alert})
    told = (19.0, Kind.NOTE, {"source": "effect", "effect": absence})
    judgement = judge(make(drop=SILENT, extra=[told, blinked]), rollback, window_s=5.0)
    assert verdicts(judgement)["alert"] is Verdict.UNKNOWN
    assert "down was 0 at its worst for 12 s together (limit 0)" in judgement.sentence


FELT = [(at + 0.5, Kind.TRAFFIC, second(500, 75)) for at in range(1, 10)]


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ([effect(worst=0.15)], "the indicator crossed its limit"),
        ([effect(worst=0.0), *FELT], "users felt it"),
        ([effect(worst=0.0), (5.0, Kind.ALERT_FIRING, {"alert": "Another"})], "another alert saw it"),
        ([effect(worst=0.0), (5.0, Kind.CHECK_FAILED, {"check": "x"})], "a check saw it"),
        ([effect(worst=0.0), (5.0, Kind.CONTAINER_ENDED, {"reason": "Error"})], "a container ended"),
        ([], "nobody looked"),
    ],
)
def test_a_release_that_was_felt_is_a_fault_and_the_silent_alert_has_failed(make, rollback, extra, why):
    """Whoever felt it; the alert's own silence must not excuse it."""
    rps = (500, 60) if why == "users felt it" else (500, 2)
    judgement = judge(make(drop=SILENT, rps=rps, extra=extra), rollback, window_s=5.0)
    assert verdicts(judgement)["alert"] is Verdict.FAIL, why
