"""What the containers ask for: the alerts can be heard, and the scheduler knows what to count on."""

from muster.judge import bound
from muster.judge import resources as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#high-cpu-usage", step=4)
def test_the_alert_comes_before_the_throttle(pods, facts):
    """A CPU limit below the alert's threshold throttles the pod, and the alert never fires."""
    judge.assert_cpu_limit_above(pods, bound(facts, "cpu"))


@runbook("x0tta6bl4#high-cpu-usage", step=4)
def test_cpu_and_memory_are_requested(pods):
    judge.assert_requests_are_set(pods)
