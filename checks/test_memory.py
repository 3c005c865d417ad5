"""Memory is far from its limit, and the limit is where the alert can still be heard."""

from muster.judge import assert_holds
from muster.judge import pods as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#memory-exhaustion", step=1)
def test_no_replica_runs_out_of_memory(memory):
    assert_holds(memory)


@runbook("x0tta6bl4#memory-exhaustion", step=2)
def test_the_alert_comes_before_the_kill(pods, facts):
    """A memory limit below the alert's threshold kills the pod before anybody is told."""
    judge.assert_memory_limit_above(pods, facts.slo["memory"].critical.bound)
