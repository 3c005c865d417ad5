"""Whatever goes wrong while reading has a type and a sentence, and takes a bounded time."""

import socket
import ssl
import subprocess
import threading
import time

import pytest
from quick import quick

from muster.snapshot import FailureKind


def failure(reading):
    assert reading.value is None
    assert reading.failure is not None
    return reading.failure


def test_nobody_listening_is_refused(read, environment, free_port):
    """A closed port is 'refused', and the sentence names the address."""
    found = failure(read(environment(http=f"http://127.0.0.1:{free_port}"), "ingress_health"))
    assert found.kind is FailureKind.REFUSED
    assert str(free_port) in found.message


def test_a_host_that_does_not_exist_is_unreachable(read, environment):
    """A name that resolves to nothing is 'unreachable'."""
    found = failure(read(environment(http="http://no-such-host.invalid"), "ingress_health", deadline_s=2.0))
    assert found.kind in {FailureKind.UNREACHABLE, FailureKind.TIMEOUT}


def test_a_resolver_that_hangs_holds_up_nothing_but_its_reading(read, environment, monkeypatch):
    """Name resolution cannot be interrupted: the reading is a timeout, and nobody waits for the thread."""
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: released.wait(20) and [])
    here = environment(http="http://slow.example")
    found = quick(lambda: failure(read(here, "ingress_health", deadline_s=0.3)), under_s=1.5)
    released.set()
    assert found.kind is FailureKind.TIMEOUT


def test_a_server_that_hangs_meets_the_deadline(read, environment):
    """A server that accepts and says nothing costs the reading's deadline and not more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = environment(http=f"http://127.0.0.1:{server.getsockname()[1]}")
        found = quick(lambda: failure(read(here, "ingress_health", deadline_s=0.3)), under_s=1.5)
    assert found.kind is FailureKind.TIMEOUT


def test_a_server_that_drips_meets_the_deadline_too(read, environment):
    """A byte now and then does not extend the deadline."""

    def drip():
        client, _ = server.accept()
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(100):
                try:
                    client.sendall(b"x")
                except OSError:
                    return
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        found = failure(read(environment(http=url), "ingress_health", deadline_s=0.3))
        thread.join(5)
    assert found.kind is FailureKind.TIMEOUT


@pytest.mark.parametrize(
    ("answer", "kind", "word"),
    [
        ((500, {"error": "boom"}), FailureKind.HTTP_STATUS, "500: boom"),
        ((401, b""), FailureKind.FORBIDDEN, "401"),
        ((403, b""), FailureKind.FORBIDDEN, "403"),
        ((302, b"", ("Location", "http://elsewhere/")), FailureKind.REDIRECT, "http://elsewhere/"),
        ((200, b"{\n\n oops"), FailureKind.UNPARSEABLE, "line 3"),
        ((200, b"\xff\xfe\xff"), FailureKind.UNPARSEABLE, "UTF-8"),
        ((200, b"x" * (16 * 1024 * 1024 + 1)), FailureKind.TOO_LARGE, "16 MB"),
    ],
)
def test_a_wrong_answer_is_named(read, environment, serve, answer, kind, word):
    """Status, redirect, broken JSON (with its line), and an endless body are told apart."""
    server = serve({"/api/v2/silences": answer})
    found = failure(read(environment(alertmanager=server.url), "silences"))
    assert found.kind is kind
    assert word in found.message


def test_a_redirect_is_not_followed(read, environment, serve):
    """Evidence comes from the host that was named: nothing else is asked."""
    elsewhere = serve({"/health": {"status": "ok"}})
    server = serve({"/health": (307, b"", ("Location", f"{elsewhere.url}/health"))})
    assert failure(read(environment(http=server.url), "ingress_health")).kind is FailureKind.REDIRECT
    assert elsewhere.asked == []


def test_a_certificate_that_nobody_vouches_for_is_a_tls_failure(read, environment, tmp_path):
    """Self-signed HTTPS is refused, not ignored."""
    key, cert = tmp_path / "key", tmp_path / "cert"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "1",
         "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def handshake():
        client, _ = server.accept()
        try:
            context.wrap_socket(client, server_side=True).close()
        except OSError:
            client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=handshake, daemon=True)
        thread.start()
        found = failure(read(environment(http=f"https://127.0.0.1:{server.getsockname()[1]}"), "ingress_health"))
        thread.join(5)
    assert found.kind is FailureKind.TLS
    assert "self-signed" in found.message


def test_a_source_that_is_not_declared_is_no_failure_of_it(read, environment):
    """An environment without Prometheus says so; a check then skips instead of guessing."""
    found = failure(read(environment(), "targets"))
    assert found.kind is FailureKind.UNDECLARED
    assert found.message == "tiny/here declares no Prometheus"
