"""The runbook's remedy "scale" can be carried out: no quota refuses it, no autoscaler takes it back."""

from muster.judge import autoscaling, quota
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#high-latency", step=5)
def test_the_quota_has_room_for_the_remedy(quotas, deployment, pods, facts):
    quota.assert_room_to_scale(quotas, deployment, pods, facts.pods and facts.pods.scale_to)


@runbook("x0tta6bl4#high-cpu-usage", step=4)
def test_the_quota_has_room_for_the_largest_scale(quotas, deployment, pods, facts):
    quota.assert_room_to_scale(quotas, deployment, pods, facts.pods and facts.pods.scale_up_to)


@runbook("x0tta6bl4#rollback")
def test_the_quota_has_room_for_a_rollback(quotas, deployment, pods):
    """A rollout that may take no pod away first needs room for one more."""
    quota.assert_room_to_roll_out(quotas, deployment, pods)


@runbook("x0tta6bl4#high-cpu-usage", step=3)
def test_the_autoscaler_is_not_at_its_maximum(autoscalers):
    autoscaling.assert_room_is_left(autoscalers)


@runbook("x0tta6bl4#high-latency", step=5)
def test_the_autoscaler_lets_the_remedy_stand(autoscalers, facts):
    """A maximum below the runbook's number takes the added replicas away again."""
    autoscaling.assert_remedy_stands(autoscalers, facts.pods and facts.pods.scale_to)
