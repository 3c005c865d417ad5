"""Replicas find one another, greet over post-quantum TLS, and notice who is gone. Judged on the wire."""

from __future__ import annotations

import socket
import ssl
import time

import pytest
from quick import quick

from lab.service import certs, wire


def offered(address: str, groups: str) -> str:
    """What a caller who offers these groups ends up with."""
    for left in (2, 1, 0):
        sock = socket.create_connection((address, 9443), 20)
        try:
            with wire.Channel(wire.context(groups), sock, 20) as channel:
                channel.shake(server=False)
                return channel.group
        except wire.WireLost:  # a caller that stands still for a second is let go
            if not left:
                raise
    raise AssertionError


def status(replica) -> dict:
    return replica.get("/mesh/status").json()


def connected(replica) -> bool:
    return status(replica)["status"] == "connected"


def dependency(replica, name: str) -> str:
    return replica.get("/health").json()["dependencies"][name]["status"]


@pytest.fixture
def three(replicas, eventually):
    trio = replicas(3)
    for replica in trio:
        eventually(lambda it=replica: connected(it), "connected")
    return trio


def test_three_replicas_mesh_over_the_post_quantum_group(three, eventually):
    """Each sees the two others alive over X25519MLKEM768, with fresh greetings, and counts its handshakes."""
    whole = {"status": "connected", "peers": 2, "expected": 2}

    def greeted(replica) -> dict | None:  # a greeting may come late
        page = replica.get("/mesh/peers").json()
        return page if all(peer["alive"] and peer["last_seen_s"] < 5 for peer in page["peers"]) else None

    for replica in three:
        eventually(lambda it=replica: status(it) == whole, "whole")
        page = eventually(lambda it=replica: greeted(it), "fresh greetings")
        assert page["self"] == replica.name
        assert {peer["name"] for peer in page["peers"]} == {"r0", "r1", "r2"} - {replica.name}
        assert {peer["group"] for peer in page["peers"]} == {"X25519MLKEM768"}
        eventually(lambda it=replica: dependency(it, "mesh") == "ok", "its health says so")
        assert offered(replica.address, "X25519:X25519MLKEM768") == "X25519MLKEM768"
        eventually(lambda it=replica: it.metric("x0tta6bl4_mesh_peers") == 2, "metric follows")
    made = three[0].metric("x0tta6bl4_pqc_handshake_success_total")
    eventually(lambda: three[0].metric("x0tta6bl4_pqc_handshake_success_total") > made + 3, "handshakes go on")
    assert three[0].metric("x0tta6bl4_pqc_handshake_latency_seconds_count") > made
    pqc = three[0].get("/security/pqc/status").json()
    assert (pqc["enabled"], pqc["algorithm"], pqc["group"]) == (True, "ML-KEM-768", "X25519MLKEM768")
    assert pqc["fallback_enabled"] is False
    assert pqc["handshakes"]["failure"] == 0


def test_a_young_replica_greets_so_often_that_its_rates_are_soon_known(replicas, eventually):
    """Handshakes are counted at both ends: at the usual pace there would be hardly more than a dozen by then."""

    def counted() -> None:
        first, _ = replicas(2)
        eventually(lambda: first.metric("x0tta6bl4_pqc_handshake_latency_seconds_count") >= 20, "often")

    quick(counted, under_s=10)


def test_a_killed_peer_times_out_and_is_not_a_handshake_failure(three, eventually):
    """Gone is not insecure: a pod kill must not page the security team."""
    three[2].end()
    eventually(lambda: status(three[0]) == {"status": "degraded", "peers": 1, "expected": 2}, "one peer less")
    three[1].end()
    eventually(lambda: status(three[0])["status"] == "isolated", "nobody left")
    assert three[0].metric("x0tta6bl4_pqc_handshake_failure_total") == 0


def test_a_classical_only_client_is_refused_by_a_healthy_replica(replica, eventually):
    """The interpreter's own TLS is such a client; it is counted as refused, not as a failure of the mesh."""
    with pytest.raises(wire.HandshakeRefused):
        offered(replica.address, "X25519:P-256")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection((replica.address, 9443), 20) as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock)
    eventually(lambda: replica.metric("x0tta6bl4_mesh_refused_total") == 2, "both counted")  # after they were refused
    assert replica.metric("x0tta6bl4_pqc_handshake_failure_total") == 0
    told = replica.log.read_text()
    assert "turned away: no suitable key share" in told
    assert "SECURITY" not in told  # it did what it is there for: nobody is to be alarmed


def test_an_admitted_fallback_is_on_the_wire_in_the_status_and_in_the_metric(replicas, eventually):
    """All three tell the same story, and the log has lines that grep PQC and grep SECURITY find."""
    pair = replicas(2, FAULT_PQC_FALLBACK="admitted")
    for it in pair:
        eventually(lambda it=it: connected(it), "they mesh classically")
    it = pair[0]
    assert offered(it.address, "X25519:X25519MLKEM768") == "x25519"
    with pytest.raises(wire.HandshakeRefused):
        offered(it.address, "X25519MLKEM768")
    pqc = it.get("/security/pqc/status").json()
    assert (pqc["enabled"], pqc["fallback_enabled"], pqc["group"]) == (False, True, "x25519")
    assert it.metric("x0tta6bl4_pqc_fallback_enabled") == 1
    assert it.get("/mesh/peers").json()["peers"][0]["group"] == "x25519"
    assert "SECURITY PQC fallback enabled" in it.log.read_text()
    health = it.get("/health").json()
    assert (health["status"], health["dependencies"]["pqc"]["status"]) == ("degraded", "fallback")


def test_a_denied_fallback_shows_on_the_wire_only(replicas, eventually):
    """Status, metric, peers, health and log claim post-quantum; the wire is the witness."""
    it, _ = replicas(2, FAULT_PQC_FALLBACK="denied")
    eventually(lambda: connected(it), "they mesh classically")
    assert offered(it.address, "X25519:X25519MLKEM768") == "x25519"
    pqc = it.get("/security/pqc/status").json()
    assert (pqc["enabled"], pqc["fallback_enabled"], pqc["group"]) == (True, False, "X25519MLKEM768")
    assert it.metric("x0tta6bl4_pqc_fallback_enabled") == 0
    assert it.get("/mesh/peers").json()["peers"][0]["group"] == "X25519MLKEM768"
    assert dependency(it, "pqc") == "ok"
    assert "fallback" not in it.log.read_text()


def test_a_healthy_replica_counts_failures_against_a_fallen_back_peer(replicas, eventually):
    """Its greeting is refused: a handshake that both sides wanted and TLS did not allow."""
    healthy, _ = replicas(2, only={1: {"FAULT_PQC_FALLBACK": "denied"}})
    eventually(lambda: healthy.metric("x0tta6bl4_pqc_handshake_failure_total") >= 2, "failures are counted")
    before = healthy.metric("x0tta6bl4_pqc_handshake_failure_total")
    eventually(lambda: healthy.metric("x0tta6bl4_pqc_handshake_failure_total") >= before + 4, "and go on")
    assert status(healthy)["status"] == "isolated"
    assert "ERROR PQC handshake with r1 failed" in healthy.log.read_text()


def test_an_expired_certificate_is_refused_by_peers_and_admitted_by_its_owner(replicas, eventually):
    """Peers lose it, count handshake failures and say why; its own health and log say so, and the file is expired."""
    healthy, expired = replicas(2, only={1: {"FAULT_CERT_EXPIRED": "1"}})
    eventually(lambda: healthy.metric("x0tta6bl4_pqc_handshake_failure_total") >= 2, "failures are counted")
    expired.up()
    assert status(healthy)["status"] == "isolated"
    assert "ERROR PQC handshake with r1 failed: its certificate has expired" in healthy.log.read_text()
    assert dependency(healthy, "pqc") == "ok"
    assert dependency(expired, "pqc") == "expired"
    assert expired.get("/security/pqc/status").json()["certificate"]["good"] is False
    assert "ERROR SECURITY PQC mesh certificate" in expired.log.read_text()
    assert certs.expiry(expired.folder / "etc" / "x0tta6bl4" / "certs" / "tls.crt") < time.time()
    eventually(lambda: connected(expired), "its own calls are answered: the others' certificates are good")


def test_a_certificate_expires_when_told(replicas, eventually):
    """CERT_VALID_S: the mesh is whole until then, and its handshakes fail afterwards."""
    pair = replicas(2, CERT_VALID_S="20")  # counted from its start, and to mesh takes a while
    eventually(lambda: all(connected(it) for it in pair), "they mesh")
    assert pair[0].metric("x0tta6bl4_pqc_handshake_failure_total") == 0
    eventually(lambda: pair[0].metric("x0tta6bl4_pqc_handshake_failure_total") >= 1, "the certificate has run out")
    eventually(lambda: dependency(pair[0], "pqc") == "expired", "its own, too: the other's may be a second older")


def test_a_good_certificate_that_was_mounted_cannot_be_made_to_expire(replica, tmp_path):
    """A fault that does nothing is refused: exit 2, and one sentence that names the file."""
    folder = replica.folder / "etc" / "x0tta6bl4" / "certs"
    told = {"CERT_ROOT": str(folder), "FAULT_CERT_EXPIRED": "1", "MESH_PORT": "9444"}
    twin = type(replica)(tmp_path, replica.address, "twin", told)
    assert twin.process.wait(30) == 2
    twin.end()
    assert f"FAULT_CERT_EXPIRED: {folder / 'tls.crt'} is good" in twin.log.read_text()


def test_a_silent_caller_holds_nobody_up(three, eventually):
    """Callers that connect and say nothing cost a slot for a second; the mesh stays whole."""
    silent = [socket.create_connection((three[0].address, 9443), 20) for _ in range(10)]
    made = three[1].metric("x0tta6bl4_pqc_handshake_success_total")
    eventually(lambda: three[1].metric("x0tta6bl4_pqc_handshake_success_total") > made + 8, "handshakes go on")
    eventually(lambda: connected(three[0]), "whole")
    for sock in silent:
        sock.close()


def test_certificates_lie_where_the_runbook_looks_and_are_kept(replica, tmp_path):
    """Made when missing, the key for its owner only; existing ones are used as they are."""
    folder = replica.folder / "etc" / "x0tta6bl4" / "certs"
    assert {path.name for path in folder.iterdir()} == {"tls.crt", "tls.key"}
    assert (folder / "tls.key").stat().st_mode & 0o777 == 0o600
    before = (folder / "tls.crt").read_bytes()
    address = replica.address
    replica.end()
    again = type(replica)(tmp_path, address, "again", {"CERT_ROOT": str(folder)}).up()
    assert (folder / "tls.crt").read_bytes() == before
    again.end()
