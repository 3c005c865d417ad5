"""What a body is packed in, who vouches for a server, who shows a token: told exactly, and bounded."""

import gzip
import json
import ssl
import subprocess
import threading
import tracemalloc

import pytest

from muster.read.http import LIMIT_BYTES
from muster.snapshot import FailureKind

GOOD = [{"id": "1", "matchers": [], "endsAt": "", "createdBy": "", "comment": "x", "status": {"state": "active"}}]
PATH = "/api/v2/silences"


def gzipped(data, **headers):
    return (200, data, ("Content-Encoding", "gzip"), *headers.items())


@pytest.fixture
def reading(read, environment, serve):
    """The silences of an Alertmanager that answers this."""
    return lambda answer, **options: read(environment(alertmanager=serve({PATH: answer}).url, **options), "silences")


def test_a_packed_body_is_unpacked(reading):
    """As most servers send it."""
    assert reading(gzipped(gzip.compress(json.dumps(GOOD).encode()))).value[0]["comment"] == "x"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (gzipped(json.dumps(GOOD).encode()), "says Content-Encoding gzip, and is not"),
        (gzipped(gzip.compress(json.dumps(GOOD).encode())[:-9]), "ends in the middle of its gzip data"),
        (gzipped(gzip.compress(b"[]") + b"[]"), "has something after its gzip data"),
        ((200, b"[]", ("Content-Encoding", "br")), "in Content-Encoding br, which was not asked for"),
    ],
)
def test_a_body_that_is_not_packed_as_it_says_is_told_as_exactly_that(reading, answer, said):
    """A lie of the server or of something between is neither JSON nor silence."""
    found = reading(answer).failure
    assert found.kind is FailureKind.ENCODING
    assert said in found.message


def test_a_bomb_is_put_down_before_it_is_large(reading):
    """A quarter of a megabyte that unpacks to 256 ends at the limit of 16, in little more memory than that."""
    bomb = gzip.compress(bytes(16 * LIMIT_BYTES), 9)
    tracemalloc.start()
    try:
        found = reading(
            gzipped(bomb),
        ).failure
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.kind is FailureKind.TOO_LARGE
    assert "16 MB" in found.message
    assert peak < 6 * LIMIT_BYTES


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'[{"a": NaN}]', "NaN is no number"),
        (b"[1e999]", "beyond all"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5000, "not JSON"),
    ],
)
def test_json_that_no_snapshot_can_hold_is_refused(reading, body, said):
    """Python reads it; a file that others read could not be written."""
    found = reading((200, body)).failure
    assert found.kind is FailureKind.UNPARSEABLE
    assert said in found.message


def test_half_a_character_does_not_break_the_snapshot(reading):
    """It is replaced."""
    value = reading((200, json.dumps([{**GOOD[0], "comment": "\ud800!"}]).encode())).value
    assert value[0]["comment"] == "?!"


def test_a_failed_request_is_not_tried_again(read, environment, serve):
    """Nothing is retried into a pass: the server was asked once."""
    server = serve({PATH: (503, {"error": "busy"})})
    assert read(environment(alertmanager=server.url), "silences").failure.kind is FailureKind.HTTP_STATUS
    assert server.asked == [PATH]


def test_an_expired_token_is_forbidden_and_a_good_one_goes_to_its_source_only(read, environment, serve, tmp_path):
    """Read at each request; 401 is one sentence; nobody else sees it."""
    token, seen = tmp_path / "token", []
    token.write_text("sesame-1\n")
    server = serve({PATH: lambda _: (200, GOOD) if "Bearer sesame-2" in str(seen[-1]) else (401, {"error": "expired"})})
    handler = server._http.RequestHandlerClass
    original = handler.do_GET

    def do_get(self):
        seen.append(self.headers.get("Authorization"))
        original(self)

    handler.do_GET = do_get
    here = environment(alertmanager=server.url, token_files={"alertmanager": str(token)})
    found = read(here, "silences").failure
    assert (found.kind, found.message) == (FailureKind.FORBIDDEN, f"{server.url}{PATH} answered 401: expired")
    token.write_text("sesame-2")
    assert read(here, "silences").failure is None
    assert read(environment(alertmanager=server.url, token_files={"grafana": str(token)}), "silences").failure
    assert seen == ["Bearer sesame-1", "Bearer sesame-2", None]
    token.unlink()
    assert "No such file" in read(here, "silences").failure.message


@pytest.fixture
def https(tmp_path):
    """An HTTPS server with a certificate of its own making: its address and the certificate."""
    key, cert = tmp_path / "key", tmp_path / "cert"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=a", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(GOOD).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Tests are quiet."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            """Who does not trust us hangs up."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}", cert
    server.shutdown()
    server.server_close()


def test_a_certificate_is_trusted_when_its_authority_is_named(read, environment, https, tmp_path):
    """Refused without, taken with it; a file that holds no certificate is told as that."""
    url, cert = https
    assert read(environment(alertmanager=url), "silences").failure.kind is FailureKind.TLS
    assert read(environment(alertmanager=url, ca_file=str(cert)), "silences").failure is None
    (tmp_path / "empty").touch()
    for file in (tmp_path / "empty", tmp_path / "nowhere"):
        found = read(environment(alertmanager=url, ca_file=str(file)), "silences").failure
        assert found.kind is FailureKind.TLS
        assert f"ca_file {file} cannot be used" in found.message
