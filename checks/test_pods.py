"""The pods run, are of one build, and stay up."""

from muster.judge import pods as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#service-down", step=2)
def test_every_pod_runs(pods):
    judge.assert_running(pods)


@runbook("x0tta6bl4#rollback", step=2)
def test_every_pod_is_of_one_build(pods):
    judge.assert_one_build(pods)


@runbook("x0tta6bl4#frequent-restarts", step=1)
def test_no_pod_restarts_over_and_over(pods, facts, snapshot):
    judge.assert_few_restarts(pods, facts.pods, now=snapshot.taken_at, time_scale=snapshot.time_scale)
