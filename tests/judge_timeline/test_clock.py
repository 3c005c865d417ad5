"""Clocks that are wrong: measured, taken off, and never a negative or an invented duration."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fulfilled import SOURCE

from muster.judge.clock import SECOND, Told, align, aligned, narrowed, ours, theirs
from muster.judge.timeline import judge
from muster.timeline import Clock, Event, Kind
from muster.verdict import Verdict

CLOCKS = {"prometheus", "inbox", "responder"}
STAMPED = {kind: source for kind, source in SOURCE.items() if source in CLOCKS}


@pytest.fixture
def skewed(make):
    """``skewed({"inbox": -30.0}, {"inbox": Clock(...)})``: the good story as clocks that far off would stamp it."""

    def build(skews, clocks):
        def stamp(event):
            clock = STAMPED.get(event.kind, "")
            return replace(event, at=event.at + skews.get(clock, 0.0), data={**event.data, "clock": clock})

        story = make()
        return align(replace(story, events=tuple(map(stamp, story.events)), clocks=clocks))

    return build


def told(time, *, asked=100.0, heard=100.01, grain=0.0):
    return Told(asked_at=asked, time=time, heard_at=heard, grain_s=grain)


def test_one_answer_bounds_the_skew_by_its_round_trip():
    """Asked at 100.00, heard at 100.01, told 130.005: half a minute ahead, give or take half of the round trip."""
    clock = narrowed(None, told(130.005)).clock
    assert (clock.skew_s, clock.bound_s) == (pytest.approx(30.0), pytest.approx(0.005))


def test_a_second_cut_off_is_part_of_the_bound_and_many_answers_narrow_it():
    """One Date header knows half a second; fifty at different moments know a few hundredths."""
    bounds = narrowed(None, told(130.0, grain=SECOND))
    assert bounds.clock.bound_s == pytest.approx(0.505)
    for number in range(50):
        now = 100.0 + number * 0.21
        bounds = narrowed(bounds, told(float(int(now + 0.005 + 30.3)), asked=now, heard=now + 0.01, grain=SECOND))
    assert bounds.clock.skew_s == pytest.approx(30.3, abs=bounds.clock.bound_s)
    assert bounds.clock.bound_s < 0.05


def test_an_exact_answer_outranks_dates_which_may_be_another_clocks():
    """A proxy stamps Date; the source itself says now. What contradicts it from coarser answers is not heard."""
    exact = narrowed(narrowed(None, told(500.0, grain=SECOND)), told(100.005))
    assert exact.clock.skew_s == pytest.approx(0.0)
    assert narrowed(exact, told(500.0, grain=SECOND)) == exact


def test_a_clock_that_is_set_meanwhile_is_followed_and_doubted():
    """It jumped by 2 s: from there on 2 s ahead, and every stamp of it in doubt by as much."""
    clock = narrowed(narrowed(None, told(100.005)), told(102.005)).clock
    assert clock.skew_s == pytest.approx(2.0)
    assert clock.bound_s == pytest.approx(2.0, abs=0.02)


def test_what_is_within_the_bound_moves_nothing():
    """Noise is no skew: the event stays where its source said, and has no raw time."""
    event = Event(at=10.0, kind=Kind.PAGE_RECEIVED, source="inbox", data={"clock": "inbox"})
    assert aligned(event, Clock(skew_s=0.2, bound_s=0.5)) == event
    assert aligned(event, None) == event


def test_a_moved_event_keeps_its_raw_time_and_is_moved_once():
    """Aligning again, with the same clock or a better one, starts from what the source said."""
    event = Event(at=40.0, kind=Kind.PAGE_RECEIVED, source="inbox", data={"clock": "inbox"})
    once = aligned(event, Clock(skew_s=30.0, bound_s=0.1))
    assert (once.at, once.data["raw_at"]) == (10.0, 40.0)
    assert aligned(once, Clock(skew_s=30.0, bound_s=0.1)) == once
    assert aligned(once, Clock(skew_s=29.5, bound_s=0.1)).at == 10.5


def test_ours_and_theirs_are_each_others_inverse():
    """What is asked of a source in its time, and what it answers."""
    clock = Clock(skew_s=-30.0, bound_s=0.1)
    assert ours(70.0, clock) == 100.0
    assert theirs(100.0, clock) == 70.0
    assert theirs(100.0, None) == 100.0


@pytest.mark.parametrize("skew", [-30.0, 30.0, 3600.0])
@pytest.mark.parametrize("source", ["prometheus", "inbox", "responder"])
def test_a_skewed_source_changes_no_measurement(make, skewed, rollback, source, skew):
    """With the skew known, every duration is what it would have been with true clocks."""
    clocks = {name: Clock(skew_s=0.0, bound_s=0.001) for name in ("prometheus", "inbox", "responder")}
    right = judge(make(), rollback, window_s=5.0)
    judged = judge(skewed({source: skew}, clocks | {source: Clock(skew_s=skew, bound_s=0.001)}), rollback, window_s=5.0)
    assert judged.verdict is Verdict.PASS
    assert judged.measured.as_dict() == right.measured.as_dict()


def test_an_unknown_clock_is_unknown_and_nothing_is_invented(skewed, rollback, outcome_of):
    """The pager is 3 s behind and does not say so: no page 3 s before its alert, but no duration, and why."""
    known = {name: Clock(skew_s=0.0, bound_s=0.001) for name in ("prometheus", "responder")}
    judged = judge(skewed({"inbox": -3.0}, known), rollback, window_s=5.0)
    assert judged.measured.page_s is None
    assert "inbox does not say what time it has" in judged.measured.unmeasured["page_s"]
    page = outcome_of(judged, "page_within")
    assert page.verdict is Verdict.UNKNOWN
    assert "inbox does not say what time it has" in page.message
    assert judged.measured.decide_s == pytest.approx(0.1)  # both ends by one clock


def test_a_bound_is_told_and_a_limit_within_it_is_unknown(skewed, rollback, outcome_of):
    """Known to half a second only: what is clearly in time passes and says so, what is close is not judged."""
    clocks = {name: Clock(skew_s=0.0, bound_s=0.001) for name in ("prometheus", "inbox")}
    judged = judge(skewed({}, clocks | {"responder": Clock(skew_s=0.0, bound_s=0.5)}), rollback, window_s=5.0)
    assert judged.measured.bounds_s["traffic_off_s"] == 0.5
    close = outcome_of(judged, "traffic_off_within")  # 0.9 s of 1 s
    assert close.verdict is Verdict.UNKNOWN
    assert close.message.endswith("0.90 s, give or take 0.50 s of clocks, limit 1 s: too close to tell")
    assert outcome_of(judged, "recovered_within").verdict is Verdict.PASS  # 3.5 s of 5 s


def test_no_duration_is_ever_negative(make, rollback):
    """A fault that is confirmed after its alert fired was in force before: no time, not less than none."""
    timeline = make(drop=(Kind.FAULT_CONFIRMED,), extra=[(9.0, Kind.FAULT_CONFIRMED, {})])
    measured = judge(timeline, rollback, window_s=5.0).measured
    values = [value for name, value in measured.as_dict().items() if name.endswith("_s") and isinstance(value, float)]
    assert measured.detect_s == 0.0
    assert min(values) >= 0.0
