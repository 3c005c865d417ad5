"""Memory is far from its limit, and the limit is where the alert can still be heard."""

from muster.judge import assert_every_replica_holds, assert_holds, bound, resources
from muster.judge import pods as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#memory-exhaustion", step=1)
def test_no_replica_runs_out_of_memory(memory):
    assert_holds(memory)


@runbook("x0tta6bl4#memory-exhaustion", step=2)
def test_the_alert_comes_before_the_kill(pods, facts):
    """A memory limit below the alert's threshold kills the pod before anybody is told."""
    resources.assert_memory_limit_above(pods, bound(facts, "memory"))


@runbook("x0tta6bl4#memory-exhaustion", step=2)
def test_nothing_was_killed_for_its_memory(pods, facts, snapshot):
    judge.assert_nothing_was_killed_for_memory(pods, facts.pods, now=snapshot.taken_at, time_scale=snapshot.time_scale)


@runbook("x0tta6bl4#memory-exhaustion", step=3)
def test_no_replica_grows_and_grows(memory_growth):
    """A leak shows hours before the limit does."""
    assert_every_replica_holds(memory_growth)
