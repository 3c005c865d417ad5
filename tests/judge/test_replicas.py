"""A replica that could not be read cannot be overlooked."""

import pytest

from muster.errors import Unknown
from muster.judge import health, mesh, pqc
from muster.judge.replicas import Answer, Replicas
from muster.system.model import Mesh, Pqc

FAILED = {"failure": {"kind": "timeout", "message": "no answer in 2 s"}}
PQC = Pqc(allowed_groups=["X25519MLKEM768"], fallback_forbidden=True, source="tests")
GOOD = {"enabled": True, "algorithm": "ML-KEM-768", "group": "X25519MLKEM768", "fallback_enabled": False}


def answers(**raw):
    return Replicas("health", raw, lambda replica, value: Answer(f"/health of {replica}", **value))


def well(status="ok", version="1", **dependencies):
    body = {"status": status, "version": version, "dependencies": {n: {"status": s} for n, s in dependencies.items()}}
    return {"status_code": 200, "body": body}


def tls(**groups):
    raw = {replica: group if isinstance(group, dict) else {"group": group} for replica, group in groups.items()}
    return Replicas("mesh_tls", raw, lambda _, value: pqc.Tls(value["group"], "TLSv1.3"))


def says(**raw):
    return Replicas("pqc_status", raw, pqc.pqc_status)


def views(**alive):
    raw = {
        name: {"self": name, "peers": [{"name": p.rstrip("!"), "alive": not p.endswith("!")} for p in peers]}
        for name, peers in alive.items()
    }
    return Replicas("mesh_peers", raw, mesh.mesh_view)


def test_a_loop_over_all_ends_in_unknown_when_one_could_not_be_read():
    """Known replicas are judged first; then the unknown one stops the pass."""
    seen = []
    with pytest.raises(Unknown, match="health of a: no answer in 2 s"):
        seen.extend(name for name, _ in answers(a=FAILED, b=well()).items())
    assert len(answers(a=FAILED, b=well())) == 2


def test_a_bad_replica_fails_although_another_is_unknown():
    """FAIL outranks UNKNOWN."""
    with pytest.raises(AssertionError, match="/health of b answers 503"):
        health.assert_healthy(answers(a=FAILED, b={"status_code": 503, "body": {}}))


def test_a_replica_that_says_it_is_degraded_is_not_healthy():
    """200 is not enough."""
    with pytest.raises(AssertionError, match="answers 200, but says degraded"):
        health.assert_healthy(answers(a=well("degraded")))


def test_a_health_page_without_status_is_unknown():
    """What the page does not say is not assumed."""
    with pytest.raises(Unknown, match="/health of a has no 'status'"):
        health.assert_healthy(answers(a={"status_code": 200, "body": {"up": True}}))


def test_two_versions_at_once_are_named_with_their_replicas():
    """Half a rollout shows."""
    with pytest.raises(AssertionError, match="1 by a; 2 by b"):
        health.assert_one_version(answers(a=well(), b=well(version="2")))


def test_a_dependency_that_does_not_know_its_own_state_is_unknown():
    """Neither well nor broken."""
    with pytest.raises(Unknown, match="dependency db of a: its own status is unknown"):
        health.assert_dependencies_are_well(answers(a=well(db="unknown")), [])
    with pytest.raises(AssertionError, match="dependency db of a is down"):
        health.assert_dependencies_are_well(answers(a=well(db="down")), [])
    with pytest.raises(AssertionError, match="dependency db of b is down"):
        health.assert_dependencies_are_well(answers(a=well(db="unknown"), b=well(db="down")), [])


def test_a_declared_dependency_that_a_replica_does_not_list_fails():
    """A release that forgot to look at its control plane must not be taken for one whose control plane is well."""
    health.assert_dependencies_are_well(answers(a=well(db="ok"), b=well(db="ok")), ["db"])
    with pytest.raises(AssertionError, match="/health of b does not list the dependency db that the facts declare"):
        health.assert_dependencies_are_well(answers(a=well(db="ok"), b=well(mesh="ok")), ["db"])


def test_no_dependency_at_all_is_unknown():
    """None declared and none listed: nothing was judged, and that is not a pass."""
    with pytest.raises(Unknown, match="/health of b lists no dependency"):
        health.assert_dependencies_are_well(answers(a=well(db="ok"), b=well()), [])


def test_a_classical_group_on_the_wire_fails():
    """The wire is judged by the groups that the runbook allows, however they are spelled."""
    pqc.assert_groups_are_allowed(tls(a="x25519mlkem768"), PQC)
    with pytest.raises(AssertionError, match=r"mesh TLS of b negotiated x25519 \(classical\)"):
        pqc.assert_groups_are_allowed(tls(a="X25519MLKEM768", b="x25519"), PQC)
    with pytest.raises(AssertionError, match=r"negotiated SecP256r1MLKEM768, not one of X25519MLKEM768"):
        pqc.assert_groups_are_allowed(tls(a="SecP256r1MLKEM768"), PQC)


def test_a_status_that_denies_what_the_wire_does_is_found():
    """Word and wire disagree: its own finding, with both."""
    with pytest.raises(
        AssertionError, match=r"negotiated x25519; its status says X25519MLKEM768, fallback_enabled=false"
    ):
        pqc.assert_word_and_wire_agree(says(a=GOOD), tls(a="x25519"))


def test_an_admitted_fallback_fails_and_a_missing_field_is_unknown():
    """True fails; absent is not False."""
    with pytest.raises(AssertionError, match="fallback is forbidden"):
        pqc.assert_status_allows_no_fallback(says(a={**GOOD, "fallback_enabled": True}), PQC)
    with pytest.raises(Unknown, match="no 'fallback_enabled'"):
        pqc.assert_status_allows_no_fallback(says(a={k: v for k, v in GOOD.items() if k != "fallback_enabled"}), PQC)


def test_a_pair_that_does_not_see_each_other_is_a_partition():
    """Counts may look right while the views differ."""
    mesh.assert_views_agree(views(a=["b", "c"], b=["a", "c"], c=["a", "b"]))
    with pytest.raises(AssertionError, match="b does not see c: the mesh is partitioned"):
        mesh.assert_views_agree(views(a=["b", "c"], b=["a", "c!"], c=["a", "b"]))
    with pytest.raises(AssertionError, match="a sees ghost"):
        mesh.assert_views_agree(views(a=["b", "ghost"], b=["a"]))


def test_too_few_live_peers_fail_and_the_silent_one_is_named():
    """A peer that is listed but silent does not count."""
    least = Mesh(least_peers=2, source="tests")
    with pytest.raises(AssertionError, match="a has 1 live mesh peers of at least 2; silent: c"):
        mesh.assert_enough_peers(views(a=["b", "c!"]), least)
