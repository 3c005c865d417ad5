"""The cluster does not complain of the workload."""

from muster.judge import events as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#service-down", step=2)
def test_no_warning_event_is_open(events, pods, deployment, facts, snapshot):
    judge.assert_no_warning_is_open(
        events, pods, deployment, facts.pods, now=snapshot.taken_at, time_scale=snapshot.time_scale
    )
