"""No replica is saturated."""

from muster.judge import assert_holds
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#high-cpu-usage", step=1)
def test_no_replica_is_saturated(cpu):
    assert_holds(cpu)
