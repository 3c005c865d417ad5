"""The SLO ladder: what fails, what warns, what holds, and what is not known."""

import warnings

import pytest

from muster.errors import Unknown
from muster.judge import (
    Breach,
    Indicator,
    Undeclared,
    assert_every_replica_holds,
    assert_holds,
    assert_there_is_traffic,
    bound,
)
from muster.system import load_system
from muster.system.model import Slo
from muster.verdict import SLOWarning

SLO = Slo.model_validate(
    {
        "title": "errors",
        "unit": "ratio",
        "query": "q[{window}]",
        "runbook": "r#s",
        "objective": {"below": "0.1%", "source": "on-call runbook / Key metrics"},
        "warning": {"above": "1%", "source": "on-call runbook / Key metrics"},
        "critical": {"above": "5%", "source": ["on-call runbook / High Error Rate", "another"]},
        "rollback": {"above": "10%", "for": "5m", "source": "on-call runbook / High Error Rate"},
    }
)


def indicator(value, per_replica=None, gaps=(), slo=SLO):
    return Indicator(
        name="error_ratio",
        label="x/lab",
        slo=slo,
        value=value,
        per_replica=per_replica or {},
        over="5m",
        gaps=tuple(gaps),
    )


@pytest.fixture
def strict():
    """Warnings are errors here, so a pass is silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("strict")
def test_below_the_objective_it_holds_in_silence():
    """A good value neither fails nor warns."""
    assert_holds(indicator(0.0009))


@pytest.mark.parametrize(("value", "level", "limit"), [(0.123, "rollback", "10%"), (0.07, "critical", "5%")])
def test_over_a_failing_level_the_sentence_says_everything(value, level, limit):
    """System, condition, measured value, limit, window, level and the line of the runbook."""
    with pytest.raises(Breach) as caught:
        assert_holds(indicator(value))
    assert str(caught.value) == (
        f"x/lab error_ratio {value * 100:.3g}% > {limit} over 5m ({level}; on-call runbook, High Error Rate)"
    )
    assert (caught.value.slo, caught.value.level) == ("error_ratio", level)


def test_a_limit_is_not_broken_by_reaching_it():
    """'Above 5%' is not 5%."""
    with pytest.warns(SLOWarning):
        assert_holds(indicator(0.05))


def test_over_the_warning_level_it_warns():
    """It passes, and is shown."""
    with pytest.warns(SLOWarning, match=r"x/lab error_ratio 3% > 1% over 5m \(warning; on-call runbook, Key metrics\)"):
        assert_holds(indicator(0.03))


def test_a_missed_objective_warns():
    """Between objective and warning level nothing is broken, but it is said."""
    with pytest.warns(SLOWarning, match=r"misses its objective < 0\.1% over 5m \(objective;"):
        assert_holds(indicator(0.005))


def test_a_gap_is_unknown_where_it_would_have_held():
    """A value that does not speak for every replica is no pass."""
    with pytest.raises(Unknown, match="0% holds for what is known, but target a is down"):
        assert_holds(indicator(0.0, gaps=["target a is down"]))


def test_a_gap_does_not_hide_a_failure():
    """What is known may fail all the same."""
    with pytest.raises(AssertionError, match="> 10%"):
        assert_holds(indicator(0.5, gaps=["target a is down"]))


def test_one_bad_replica_of_many_shows():
    """The mean holds, the replica does not, and it is named."""
    seen = indicator(0.0005, {"a": 0.0, "b": 0.2})
    assert_holds(seen)
    with pytest.raises(AssertionError, match="error_ratio of b 20% > 10%"):
        assert_every_replica_holds(seen)


def test_no_replica_with_samples_is_unknown():
    """An empty mapping is not 'every replica holds'."""
    with pytest.raises(Unknown, match="no replica has samples"):
        assert_every_replica_holds(indicator(0.0))


@pytest.mark.parametrize(("value", "per_replica"), [(0.0, {}), (10.0, {"a": 10.0, "b": 0.0})])
def test_no_traffic_fails(value, per_replica):
    """Neither the system nor any replica may stand idle, whatever the throughput objective is."""
    with pytest.raises(AssertionError, match=r"nobody is served|of b 0/s over 5m: it gets no traffic"):
        assert_there_is_traffic(indicator(value, per_replica, slo=SLO.model_copy(update={"unit": "per_second"})))


def test_a_level_that_the_facts_do_not_know_is_a_skip():
    """Another system may have no ladder for memory: its checks of limits have nothing to compare with."""
    facts = load_system("x0tta6bl4")
    assert bound(facts, "memory") == 2.4e9
    for slo, level in (("nosuch", "critical"), ("memory", "rollback")):
        with pytest.raises(Undeclared, match=f"do not say where {slo} is {level}"):
            bound(facts, slo, level)
