"""The mesh is whole: everybody sees everybody."""

from muster.judge import mesh as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#mesh-partition")
def test_every_replica_has_enough_live_peers(mesh_peers, facts):
    judge.assert_enough_peers(mesh_peers, facts.mesh)


@runbook("x0tta6bl4#mesh-partition")
def test_the_replicas_views_agree(mesh_peers):
    judge.assert_views_agree(mesh_peers)


@runbook("x0tta6bl4#high-latency", step=3)
def test_every_replica_says_that_it_is_connected(mesh_status):
    judge.assert_connected(mesh_status)
