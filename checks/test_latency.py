"""Requests are fast, on every replica."""

from muster.judge import assert_every_replica_holds, assert_holds
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#high-latency", step=1)
def test_p95_is_low(latency_p95):
    assert_holds(latency_p95)


@runbook("x0tta6bl4#high-latency", step=1)
def test_no_replica_is_slow(latency_p95):
    """One slow replica of many hides in the quantile of the whole."""
    assert_every_replica_holds(latency_p95)
