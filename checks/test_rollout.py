"""What was asked for is what runs, and there is a way back."""

from muster.judge import rollout as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#service-down", step=5)
def test_the_rollout_is_complete(deployment):
    judge.assert_complete(deployment)


@runbook("x0tta6bl4#service-down", step=5)
def test_the_rollout_has_not_run_out_of_time(deployment):
    judge.assert_in_time(deployment)


@runbook("x0tta6bl4#rollback", step=2)
def test_the_rollout_is_not_paused(deployment):
    """A paused rollout cannot be undone."""
    judge.assert_not_paused(deployment)


@runbook("x0tta6bl4#rollback", step=4)
def test_every_pod_has_the_image_that_is_asked_for(deployment, pods):
    judge.assert_pods_run_what_is_asked_for(deployment, pods)


@runbook("x0tta6bl4#service-down", step=1)
def test_all_replicas_are_ready(deployment, facts):
    judge.assert_ready(deployment, facts.pods)


@runbook("x0tta6bl4#rollback", step=1)
def test_an_earlier_revision_is_kept(deployment, replicasets):
    judge.assert_an_earlier_revision_is_kept(deployment, replicasets)


@runbook("x0tta6bl4#rollback", step=1)
def test_going_back_changes_the_build(deployment, replicasets):
    """An undo that changes nothing has rolled back nothing."""
    judge.assert_going_back_changes_something(deployment, replicasets)
