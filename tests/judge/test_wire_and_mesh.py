"""What the wire does outranks what is said; a mesh that falls apart is told by its parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.errors import Unknown
from muster.judge import mesh, pqc
from muster.judge.graph import Graph
from muster.judge.replicas import Replicas
from muster.judge.undeclared import Undeclared
from muster.system.model import Certificates, Mesh, Pqc
from muster.verdict import SLOWarning

FAILED = {"failure": {"kind": "timeout", "message": "no answer in 2 s"}}
FACTS = Pqc(
    allowed_groups=["X25519MLKEM768"], allowed_algorithms=["ML-KEM-768"], fallback_forbidden=True, source="tests"
)
LAX = Pqc(allowed_groups=["X25519MLKEM768"], fallback_forbidden=False, source="tests")
REFUSES = {"refused": True, "offered": ["x25519"], "said": "handshake failure"}
AGREES = {"refused": False, "offered": ["x25519"], "group": "x25519", "version": "TLSv1.3"}
DAY = 86400.0
LASTING = Certificates.model_validate({"folder": "/c", "warn_before": "14d", "fail_before": "3d", "source": "tests"})


def wire(**raw):
    return Replicas("mesh_downgrade", raw, lambda _, value: pqc.downgrade(value))


def says(**fallback):
    body = {"enabled": True, "algorithm": "ML-KEM-768", "group": "X25519MLKEM768"}
    raw = {name: {**body, "fallback_enabled": value} for name, value in fallback.items()}
    return Replicas("pqc_status", raw, pqc.pqc_status)


def shown(**not_after):
    raw = {
        name: at if isinstance(at, dict) else {"group": "g", "version": "v", "subject": f"CN={name}", "not_after": at}
        for name, at in not_after.items()
    }
    return Replicas("mesh_tls", raw, lambda _, value: pqc.tls(value))


def sees(**views):
    """Replica -> whom it sees alive ("b"), silent ("b!") or for how long ("b@90")."""

    def peer(text):
        name, _, age = text.rstrip("!").partition("@")
        return {
            "name": name,
            "alive": not text.endswith("!"),
            "last_seen_s": None if age == "never" else float(age or 1),
        }

    raw = {
        name: peers if isinstance(peers, dict) else {"self": name, "peers": [peer(text) for text in peers]}
        for name, peers in views.items()
    }
    return Replicas("mesh_peers", raw, mesh.mesh_view)


def test_a_mesh_port_that_agrees_with_a_classical_client_fails():
    """Where fallback is allowed nobody claims otherwise; a replica that could not be asked is unknown."""
    pqc.assert_downgrade_is_refused(wire(a=REFUSES), FACTS)
    with pytest.raises(AssertionError, match="mesh port of b agrees on x25519 with a client that offers x25519 only"):
        pqc.assert_downgrade_is_refused(wire(a=FAILED, b=AGREES), FACTS)
    with pytest.raises(Unknown, match="mesh_downgrade of b: no answer"):
        pqc.assert_downgrade_is_refused(wire(a=REFUSES, b=FAILED), FACTS)
    with pytest.raises(Unknown, match="what a was offered"):
        pqc.assert_downgrade_is_refused(wire(a={**REFUSES, "offered": []}), FACTS)
    with pytest.raises(Undeclared):
        pqc.assert_downgrade_is_refused(wire(a=AGREES), LAX)


def test_a_fallback_that_is_denied_is_a_finding_of_its_own():
    """Denied and done fails; admitted and not done warns; word and wire agreeing passes, either way."""
    pqc.assert_no_fallback_is_hidden(says(a=False, b=True), wire(a=REFUSES, b=AGREES))
    with pytest.raises(AssertionError, match="a says fallback_enabled=false; its mesh port agrees on x25519"):
        pqc.assert_no_fallback_is_hidden(says(a=False), wire(a=AGREES))
    with pytest.warns(SLOWarning, match="a says fallback_enabled=true; its mesh port refuses"):
        pqc.assert_no_fallback_is_hidden(says(a=True), wire(a=REFUSES))
    with pytest.raises(Unknown, match="nothing was read of b"):
        pqc.assert_no_fallback_is_hidden(says(a=False), wire(a=REFUSES, b=REFUSES))


def test_an_algorithm_that_the_facts_do_not_allow_fails():
    """However it is written; without any in the facts there is nothing to judge."""
    pqc.assert_algorithm_is_allowed(says(a=False), FACTS)
    others = Replicas("s", {"a": {**vars(says(a=False)["a"]), "algorithm": "X25519"}}, pqc.pqc_status)
    with pytest.raises(AssertionError, match="its algorithm is X25519, not ML-KEM-768"):
        pqc.assert_algorithm_is_allowed(others, FACTS)
    with pytest.raises(Undeclared):
        pqc.assert_algorithm_is_allowed(says(a=False), LAX)


def test_a_certificate_warns_then_fails_before_it_ends():
    """By the one on the wire: 14 days warn, 3 fail, and one that has ended says when."""
    pqc.assert_certificates_last(shown(a=30 * DAY), LASTING, now=0.0)
    with pytest.warns(SLOWarning, match=r"mesh port of b shows \(CN=b\) ends in 10d, under 14d"):
        pqc.assert_certificates_last(shown(a=30 * DAY, b=10 * DAY), LASTING, now=0.0)
    with pytest.raises(AssertionError, match="ends in 2d, under the 3d of the facts"):
        pqc.assert_certificates_last(shown(a=2 * DAY), LASTING, now=0.0)
    with pytest.raises(AssertionError, match=r"CN=a\) ended 1d ago"):
        pqc.assert_certificates_last(shown(a=0.0), LASTING, now=DAY)
    with pytest.raises(Unknown, match="shows no certificate"):
        pqc.assert_certificates_last(shown(a={"group": "g", "version": "v", "not_after": None}), LASTING, now=0.0)
    with pytest.raises(Unknown, match="no answer"):
        pqc.assert_certificates_last(shown(a=30 * DAY, b=FAILED), LASTING, now=0.0)
    with pytest.raises(Undeclared):
        pqc.assert_certificates_last(shown(a=1.0), None, now=0.0)


def test_a_peer_that_is_silent_or_only_called_alive_fails():
    """What "alive" means is in the facts: it answered within that time."""
    facts = Mesh.model_validate({"least_peers": 1, "seen_within": "30s", "source": "tests"})
    mesh.assert_every_peer_is_alive(sees(a=["b"], b=["a"]), facts)
    with pytest.raises(AssertionError, match="a lists b, which is not alive: it last answered 9s ago"):
        mesh.assert_every_peer_is_alive(sees(a=["b@9!"]), facts)
    with pytest.raises(AssertionError, match=r"b is alive, and that it last answered 1m30s ago \(limit 30s\)"):
        mesh.assert_every_peer_is_alive(sees(a=["b@90"]), facts)
    with pytest.raises(AssertionError, match="b is alive, and that it never answered"):
        mesh.assert_every_peer_is_alive(sees(a=["b@never"]), facts)
    with pytest.raises(Unknown):
        mesh.assert_every_peer_is_alive(sees(a=["b"], b=FAILED), facts)
    with pytest.raises(Undeclared):
        mesh.assert_every_peer_is_alive(sees(a=["b"]), None)


def test_a_mesh_in_two_parts_is_told_by_its_parts_and_one_way_links():
    """Each part may look whole from inside."""
    mesh.assert_no_partition(sees(a=["b"], b=["a", "c"], c=["b"]))  # a line is one part
    with pytest.raises(AssertionError, match=r"into 2 parts: a, b \| c, d$"):
        mesh.assert_no_partition(sees(a=["b"], b=["a"], c=["d"], d=["c"]))
    with pytest.raises(AssertionError, match=r"a, b \| c; one way only: a sees c, which does not see it"):
        mesh.assert_no_partition(sees(a=["b", "c"], b=["a"], c=[]))
    with pytest.raises(AssertionError, match=r"a, b \| c$"):
        mesh.assert_no_partition(sees(a=["b", "c!"], b=["a"], c=["a!"]))


def test_a_whole_mesh_with_a_one_way_link_warns():
    """It holds together by others; the link is named."""
    with pytest.warns(SLOWarning, match="whole, but a sees c, which does not see it"):
        mesh.assert_no_partition(sees(a=["b", "c"], b=["a", "c"], c=["b"]))


def test_a_replica_that_could_not_be_read_may_hold_the_parts_together():
    """Then nobody knows; a part that nothing unread could join fails all the same."""
    with pytest.raises(Unknown, match="mesh_peers of b"):
        mesh.assert_no_partition(sees(a=["b"], b=FAILED, c=["b"]))
    with pytest.raises(AssertionError, match=r"a, b \| c$"):
        mesh.assert_no_partition(sees(a=["b"], b=FAILED, c=[]))


NAMES = st.sampled_from("abcdefgh")


@given(st.dictionaries(NAMES, st.frozensets(NAMES), max_size=8))
def test_the_parts_of_a_graph_hold_everybody_once_and_no_link_leaves_one(sees):
    """Whatever the graph: parts are disjoint, complete, joined inside, and no link holds between two of them."""
    graph = Graph({name: others - {name} for name, others in sees.items()})
    parts = graph.parts
    assert sorted(name for part in parts for name in part) == sorted(sees)
    of = {name: index for index, part in enumerate(parts) for name in part}
    seen = {(one, other) for one, others in graph.sees.items() for other in others if other in graph.sees}
    mutual = seen - set(graph.one_way)
    assert all(of[one] == of[other] for one, other in mutual)
    for part in parts:
        reached, edge = {part[0]}, [part[0]]
        while edge:
            one = edge.pop()
            new = {other for first, other in mutual if first == one} - reached
            reached |= new
            edge += new
        assert reached == set(part)
