"""The TLS probe sees what a port really negotiates."""

import socket
import subprocess
import threading
import time

import pytest
from OpenSSL import SSL
from quick import quick

from muster.read.failures import ReadError
from muster.read.tls import CLASSICAL, downgrade, negotiate, offered_groups
from muster.snapshot import FailureKind


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", folder / "key", "-out", folder / "cert", "-days", "1", "-subj", "/CN=mesh"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def port_that_speaks(certificate):
    """A TLS port that accepts these groups only; it answers one handshake."""
    threads, sockets = [], []

    def start(groups):
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        assert SSL._lib.SSL_CTX_set1_curves_list(context._context, groups.encode()) == 1
        context.use_certificate_file(str(certificate / "cert"))
        context.use_privatekey_file(str(certificate / "key"))
        server = socket.create_server(("127.0.0.1", 0))

        def answer():
            client, _ = server.accept()
            with client:
                connection = SSL.Connection(context, client)
                connection.set_accept_state()
                try:
                    connection.do_handshake()
                    connection.recv(1)
                except SSL.Error:
                    return

        threads.append(threading.Thread(target=answer, daemon=True))
        sockets.append(server)
        threads[-1].start()
        return server.getsockname()[1]

    yield start
    for thread in threads:
        thread.join(5)
    for server in sockets:
        server.close()


@pytest.mark.parametrize(
    ("groups", "seen"), [("X25519MLKEM768", "X25519MLKEM768"), ("X25519", "x25519"), ("P-256", "prime256v1")]
)
def test_the_group_is_the_one_that_the_server_picks(port_that_speaks, groups, seen):
    """Both kinds are offered, so post-quantum and classical servers are told apart by what they choose."""
    found = negotiate("127.0.0.1", port_that_speaks(groups), 20.0)
    assert found["group"].lower() in {seen.lower(), "secp256r1" if seen == "prime256v1" else seen.lower()}
    assert found["version"] == "TLSv1.3"
    assert found["subject"] == "CN=mesh"
    assert 0 < found["not_after"] - time.time() <= 86_400


def test_a_post_quantum_port_refuses_a_classical_client(port_that_speaks):
    """A refusal is an answer, with what was offered and the peer's own word."""
    found = downgrade("127.0.0.1", port_that_speaks("X25519MLKEM768"), 20.0)
    assert found == {"offered": list(CLASSICAL), "refused": True, "said": "tls alert handshake failure"}


@pytest.mark.parametrize("groups", ["X25519", "X25519MLKEM768:X25519", "P-256"])
def test_a_port_that_can_be_talked_down_agrees(port_that_speaks, groups):
    """Also one that prefers post-quantum, when it is offered."""
    found = downgrade("127.0.0.1", port_that_speaks(groups), 20.0)
    assert not found["refused"]
    assert found["group"].lower() in {"x25519", "prime256v1", "secp256r1"}


def test_what_the_probes_offer_is_read_from_what_they_send():
    """The one offers post-quantum first; the other, whatever OpenSSL this is, classical groups and none beside."""
    both = SSL.Context(SSL.TLS_CLIENT_METHOD)
    assert offered_groups(both)[0] == "0x11ec"  # X25519MLKEM768
    only = SSL.Context(SSL.TLS_CLIENT_METHOD)
    assert SSL._lib.SSL_CTX_set1_curves_list(only._context, ":".join(CLASSICAL).encode()) == 1
    assert offered_groups(only) == list(CLASSICAL)


def test_a_port_that_hangs_up_has_not_refused():
    """Nothing was said about cryptography: the probe failed, and proves nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            client, _ = server.accept()
            with client:
                client.recv(1024)

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        with pytest.raises(ReadError, match="closed the connection") as caught:
            downgrade("127.0.0.1", server.getsockname()[1], 20.0)
        thread.join(5)
    assert caught.value.failure.kind is FailureKind.TLS


def test_a_port_without_tls_is_a_tls_failure():
    """Plain text is not a negotiated group."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            client, _ = server.accept()
            with client:
                client.recv(1024)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(ReadError, match="TLS handshake failed") as caught:
            negotiate("127.0.0.1", server.getsockname()[1], 20.0)
        thread.join(5)
    assert caught.value.failure.kind is FailureKind.TLS


def test_a_silent_port_is_a_timeout():
    """A server that never answers the hello costs the time that was given."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def probe():
            with pytest.raises(ReadError) as caught:
                negotiate("127.0.0.1", server.getsockname()[1], 0.3)
            return caught.value.failure

        failure = quick(probe, under_s=1.5)
    assert failure.kind is FailureKind.TIMEOUT
