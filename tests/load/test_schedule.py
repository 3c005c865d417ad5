"""When requests are due: pure arithmetic, the same every time."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedule import Phase, Schedule, kinds

rates = st.floats(0, 500)
phases = st.lists(st.builds(Phase, st.floats(0.1, 3), rates, rates), min_size=1, max_size=4)


@given(phases, st.sampled_from(["even", "poisson"]), st.integers(0, 5))
def test_due_times_ascend_and_lie_within_the_schedule(given_phases, arrivals, seed):
    """No request is due before the start, after the end, or out of turn."""
    schedule = Schedule(given_phases, arrivals=arrivals, seed=seed)
    due = list(schedule.due())
    assert all(a <= b for a, b in itertools.pairwise(due))
    assert all(0 <= at <= schedule.duration_s + 1e-6 for at in due)


@given(phases)
def test_even_arrivals_are_as_many_as_the_area_under_the_rate(given_phases):
    """The number of requests until any phase's end differs from the integral of the rate by less than one."""
    due = list(Schedule(given_phases).due())
    end = area = 0.0
    for phase in given_phases:
        end, area = end + phase.duration_s, area + phase.requests
        assert abs(sum(at <= end + 1e-9 for at in due) - area) <= 1


@given(phases, st.integers(1, 5))
def test_shares_of_several_processes_are_the_whole(given_phases, of):
    """What n processes send together is exactly what one would have sent, evenly shared."""
    whole = list(Schedule(given_phases).due())
    shares = [list(Schedule(given_phases, index=index, of=of).due()) for index in range(of)]
    assert sorted(itertools.chain(*shares)) == pytest.approx(whole)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_constant_rate_has_equal_gaps():
    """1,000 requests a second are a millisecond apart."""
    due = list(Schedule([Phase(2, 1000, 1000)]).due())
    assert len(due) == 2000
    assert all(b - a == pytest.approx(0.001) for a, b in itertools.pairwise(due))


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process():
    """20,000 gaps at 1,000/s: their mean is 1 ms and so is their standard deviation; the same seed gives the same."""
    schedule = Schedule([Phase(20, 1000, 1000)], arrivals="poisson", seed=7)
    due = list(schedule.due())
    gaps = [b - a for a, b in itertools.pairwise(due)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert mean == pytest.approx(0.001, rel=0.03)
    assert spread == pytest.approx(0.001, rel=0.05)
    assert due == list(schedule.due())
    assert due != list(Schedule(schedule.phases, arrivals="poisson", seed=8).due())


def test_a_ramp_has_the_rate_of_each_moment():
    """From 0 to 100/s in 10 s: 500 requests, of which a quarter are due in the first half."""
    schedule = Schedule([Phase(10, 0, 100)])
    due = list(schedule.due())
    assert len(due) == 500
    assert sum(at < 5 for at in due) == pytest.approx(125, abs=1)
    assert schedule.rate_at(5) == pytest.approx(50)
    assert schedule.rate_at(10) == 0


def test_a_schedule_without_end_goes_on():
    """A plain locust has no plan: its rate stays until somebody stops it."""
    due = Schedule([Phase(math.inf, 10, 10)]).due()
    assert list(itertools.islice(due, 1000))[-1] == pytest.approx(99.95)


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, -1, 1), (math.inf, 1, 2)])
def test_what_is_no_phase_is_refused(wrong):
    """No time, a negative rate, or an endless change."""
    with pytest.raises(ValueError, match="is no phase"):
        Phase(*wrong)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 3))
def test_the_mix_is_kept_exactly_in_every_round(weights, seed):
    """Of each round of requests every kind has its weight's share, whatever the order."""
    divisor = math.gcd(*weights)
    size = sum(weights) // divisor
    sent = list(itertools.islice(kinds(weights, seed), 3 * size))
    assert [sent.count(index) for index in range(len(weights))] == [3 * weight // divisor for weight in weights]
