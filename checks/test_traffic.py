"""Somebody is served: without traffic no ratio and no quantile says anything."""

from muster.judge import assert_there_is_traffic
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#throughput")
def test_every_replica_gets_traffic(throughput):
    assert_there_is_traffic(throughput)
