"""Prometheus sees every replica: what it does not see, no alert is about."""

from muster.judge import targets as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#data-absent", step=1)
def test_every_target_is_up(targets):
    judge.assert_all_up(targets)


@runbook("x0tta6bl4#data-absent", step=1)
def test_every_replica_is_a_target(targets, pods):
    judge.assert_every_pod_is_scraped(targets, pods)
