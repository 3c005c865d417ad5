"""Requests succeed, on every replica."""

from muster.judge import assert_every_replica_holds, assert_holds
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#high-error-rate", step=1)
def test_few_requests_fail(error_ratio):
    assert_holds(error_ratio)


@runbook("x0tta6bl4#high-error-rate", step=1)
def test_no_replica_fails_more_than_the_others(error_ratio):
    """One bad replica of many hides in the mean."""
    assert_every_replica_holds(error_ratio)
