"""Prometheus sees at least one replica answer."""

from muster.judge import assert_holds
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#service-down", step=1)
def test_the_service_is_not_down(down):
    assert_holds(down)
