"""Post-quantum TLS: what the replicas say, what their wires do, and what was counted."""

from muster.judge import assert_holds
from muster.judge import pqc as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#pqc-fallback", step=2)
def test_every_replica_negotiates_an_allowed_group(mesh_tls, facts):
    """What the wire negotiates outranks what the status endpoint says."""
    judge.assert_groups_are_allowed(mesh_tls, facts.pqc)


@runbook("x0tta6bl4#pqc-fallback", step=2)
def test_no_replica_admits_a_fallback(pqc_status, facts):
    judge.assert_status_allows_no_fallback(pqc_status, facts.pqc)


@runbook("x0tta6bl4#pqc-fallback", step=2)
def test_no_fallback_was_counted(pqc_fallback):
    assert_holds(pqc_fallback)


@runbook("x0tta6bl4#pqc-handshake-failure", step=3)
def test_the_status_says_what_the_wire_does(pqc_status, mesh_tls):
    judge.assert_word_and_wire_agree(pqc_status, mesh_tls)


@runbook("x0tta6bl4#pqc-handshake-failure", step=1)
def test_no_handshake_fails(pqc_handshake_failures):
    assert_holds(pqc_handshake_failures)


@runbook("x0tta6bl4#pqc-fallback", step=2)
def test_every_replica_refuses_classical_clients(mesh_downgrade, facts):
    """Asked by a client that offers classical groups and nothing else."""
    judge.assert_downgrade_is_refused(mesh_downgrade, facts.pqc)


@runbook("x0tta6bl4#pqc-handshake-failure", step=3)
def test_no_replica_hides_a_fallback(pqc_status, mesh_downgrade):
    judge.assert_no_fallback_is_hidden(pqc_status, mesh_downgrade)


@runbook("x0tta6bl4#pqc-fallback", step=2)
def test_every_replica_names_an_allowed_algorithm(pqc_status, facts):
    judge.assert_algorithm_is_allowed(pqc_status, facts.pqc)


@runbook("x0tta6bl4#pqc-handshake-failure", step=4)
def test_no_certificate_on_the_wire_ends_soon(mesh_tls, facts, snapshot):
    """The one that is shown, whatever lies in the folder."""
    judge.assert_certificates_last(mesh_tls, facts.certificates, now=snapshot.taken_at)


@runbook("x0tta6bl4#pqc-handshake-slow", step=1)
def test_handshakes_are_fast(pqc_handshake_latency):
    assert_holds(pqc_handshake_latency)
