"""Nothing comes before its cause: an alert before its window, a page before its alert, a stamp of an unknown clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.judge.timeline import judge
from muster.timeline import Clock, Kind
from muster.verdict import Verdict

ALERT = "X0TTA6BL4ErrorRatioRollback"
PREDICTED = (5.0, 6.75)


def moved(timeline, at, *kinds, **data):
    """The same with the events of these kinds at so many seconds after the fault."""
    events = [replace(e, at=1_000_000.0 + at, data=e.data | data) if e.kind in kinds else e for e in timeline.events]
    return replace(timeline, events=tuple(sorted(events, key=lambda event: event.at)))


def judged(timeline, rollback):
    return judge(timeline, rollback, window_s=5.0, predicted_s=PREDICTED)


@pytest.mark.parametrize(("fired", "verdict"), [(0.2, "FAIL"), (4.6, "FAIL"), (4.8, "PASS"), (6.4, "PASS")])
def test_an_alert_before_its_window_is_no_detection_of_this_fault(make, rollback, outcome_of, fired, verdict):
    """Counted from the injection, give or take one scrape: the fault may work before it is seen to be in force."""
    scraped = (-0.9, Kind.DRILL_STARTED, {"scrape_s": 0.25})
    story = moved(make(drop=(Kind.DRILL_STARTED,), extra=[scraped]), fired, Kind.ALERT_FIRING)
    outcome = outcome_of(judged(story, rollback), "predicted")
    assert outcome.verdict == verdict, outcome.message
    assert ("a rule without its `for`" in outcome.message) is (verdict == "FAIL")


def test_what_the_clocks_leave_in_doubt_is_given(make, rollback, outcome_of):
    """0.6 s early is not early by a clock that is known to 1 s."""
    story = moved(make(), 4.4, Kind.ALERT_FIRING, clock="prometheus")
    for bound_s, verdict in ((0.0, Verdict.FAIL), (1.0, Verdict.PASS)):
        known = replace(story, clocks={"prometheus": Clock(skew_s=0.0, bound_s=bound_s)})
        assert outcome_of(judged(known, rollback), "predicted").verdict is verdict


def test_an_alert_that_grows_with_its_fault_has_a_window_all_the_same(make, rollback, outcome_of):
    """Where nothing is predicted, too early is still no detection."""
    gradual = rollback.model_copy(update={"gradual": True})
    assert [o for o in judged(make(), gradual).outcomes if o.objective == "predicted"] == []
    early = judged(moved(make(), 0.2, Kind.ALERT_FIRING), gradual)
    assert outcome_of(early, "predicted").verdict is Verdict.FAIL


EARLY = {
    "page": (Kind.PAGE_RECEIVED, 5.9, "page_within"),
    "webhook": (Kind.WEBHOOK_RECEIVED, 5.9, "decide_within"),
    "decision": (Kind.DECIDED, 6.0, "decide_within"),
    "proof": (Kind.ROLLBACK_PROVEN, 6.1, "rollback_within"),
}


@pytest.mark.parametrize("name", EARLY)
def test_a_link_before_its_cause_is_unknown(make, rollback, outcome_of, name):
    """Neither it nor the duration that rests on it: what it followed from is something else, or a clock is wrong."""
    kind, at, deadline = EARLY[name]
    judgement = judged(moved(make(), at, kind), rollback)
    link = outcome_of(judgement, name)
    assert (judgement.verdict, link.verdict) == (Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert "that it should follow from" in link.message
    assert outcome_of(judgement, deadline).verdict is Verdict.UNKNOWN


def test_looks_and_clocks_may_stamp_an_effect_a_little_before_its_cause(make, rollback, outcome_of):
    """An alert is seen firing a look late, and clocks agree as far as they are known."""
    assert outcome_of(judged(moved(make(), 6.3, Kind.PAGE_RECEIVED), rollback), "page").verdict is Verdict.PASS
    far = moved(make(), 5.4, Kind.PAGE_RECEIVED, clock="inbox")
    for bound_s, verdict in ((0.1, Verdict.UNKNOWN), (1.0, Verdict.PASS)):
        known = replace(far, clocks={"inbox": Clock(skew_s=0.0, bound_s=bound_s)})
        assert outcome_of(judged(known, rollback), "page").verdict is verdict


def test_a_prediction_by_an_unknown_clock_is_unknown_and_does_not_vanish(make, rollback, outcome_of):
    """With the reason."""
    story = moved(make(), 6.5, Kind.WEBHOOK_RECEIVED, clock="responder")
    outcome = outcome_of(judged(story, rollback), "predicted")
    assert outcome.verdict is Verdict.UNKNOWN
    assert "responder does not say what time it has" in outcome.message
