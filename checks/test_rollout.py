"""What was asked for is what runs, and there is a way back."""

from muster.judge import rollout as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#service-down", step=5)
def test_the_rollout_is_complete(deployment):
    judge.assert_complete(deployment)


@runbook("x0tta6bl4#service-down", step=1)
def test_all_replicas_are_ready(deployment, facts):
    judge.assert_ready(deployment, facts.pods)


@runbook("x0tta6bl4#rollback", step=1)
def test_an_earlier_revision_is_kept(deployment, replicasets):
    judge.assert_an_earlier_revision_is_kept(deployment, replicasets)
