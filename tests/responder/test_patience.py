"""How long Prometheus is waited for before a release is rolled back without having been compared."""

import time

import pytest

from muster.release import Monitor, condition_of
from muster.responder.compare import compare, patience_s


@pytest.fixture
def loaded(prometheus):
    """The address of a Prometheus that has every value at 20%, and says so after 0.8 s."""
    prometheus.value, prometheus.delay_s = 0.2, 0.8
    return prometheus.url


def told(system, env):
    given = {"suspects": frozenset({"a"}), "baseline": frozenset({"b"}), "released": time.time() - 600}
    with Monitor(env) as monitor:
        return compare(monitor, env, condition_of(system, "X0TTA6BL4ErrorRatioRollback"), **given)


def test_shared_outage_is_noticed_by_a_prometheus_that_it_has_slowed_down(system, make_env, loaded):
    """0.8 s are nothing beside the 5 minutes that the alert has waited: the baseline suffers as much."""
    found = told(system, make_env(prometheus=loaded, time_scale=1))
    assert found.blames is False, found.message


def test_who_was_not_waited_for_is_said_with_the_reason(system, make_env, loaded):
    """At time scale 60 half a second is 30: the release is judged without it, and the record says why."""
    found = told(system, make_env(prometheus=loaded))
    assert found.blames is None
    assert "not compared: " in found.message
    assert "did not answer" in found.message


def test_patience_is_five_seconds_and_never_less_than_half_of_one(make_env):
    """At true scale; a network is not faster where time is."""
    assert [patience_s(make_env(time_scale=scale)) for scale in (1, 5, 60)] == [5.0, 1.0, 0.5]
