"""The mesh is whole: everybody sees everybody."""

from muster.judge import mesh as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#mesh-partition", step=2)
def test_every_replica_has_enough_live_peers(mesh_peers, facts):
    judge.assert_enough_peers(mesh_peers, facts.mesh)


@runbook("x0tta6bl4#mesh-partition", step=3)
def test_every_peer_is_alive(mesh_peers, facts):
    judge.assert_every_peer_is_alive(mesh_peers, facts.mesh)


@runbook("x0tta6bl4#mesh-partition", step=1)
def test_the_mesh_is_in_one_part(mesh_peers):
    """The graph of who sees whom, over every replica's own view."""
    judge.assert_no_partition(mesh_peers)


@runbook("x0tta6bl4#mesh-partition", step=1)
def test_the_replicas_views_agree(mesh_peers):
    judge.assert_views_agree(mesh_peers)


@runbook("x0tta6bl4#high-latency", step=3)
def test_every_replica_says_that_it_is_connected(mesh_status):
    judge.assert_connected(mesh_status)
