"""Prometheus sees every replica: what it does not see, no alert is about."""

from muster.judge import reach
from muster.judge import targets as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#data-absent", step=1)
def test_prometheus_answers(prometheus_ready):
    reach.assert_ready("Prometheus", prometheus_ready)


@runbook("x0tta6bl4#data-absent", step=1)
def test_every_target_is_up(targets):
    judge.assert_all_up(targets)


@runbook("x0tta6bl4#data-absent", step=1)
def test_every_replica_is_a_target(targets, pods):
    judge.assert_every_pod_is_scraped(targets, pods)


@runbook("x0tta6bl4#data-absent", step=1)
def test_every_target_was_scraped_lately(targets):
    judge.assert_scrapes_are_fresh(targets)


@runbook("x0tta6bl4#data-absent", step=2)
def test_every_metric_of_the_facts_is_there(series):
    """While one is absent, every alert that stands on it is silent, whatever happens."""
    judge.assert_every_metric_is_present(series)
