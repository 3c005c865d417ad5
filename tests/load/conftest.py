"""A small web server that counts, fails or redirects, and environments that point at it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from muster.load.run import free_port
from muster.system import load_system
from muster.system.environment import Environment, Guard

CHECKOUT = Path(__file__).parents[2]

sys.path[:0] = [
    str(Path(__file__).parents[2] / "loadtests"),
    str(Path(__file__).parent),
]  # as Locust does it; hostile.py
from driving import driver  # noqa: E402 - found there


@pytest.fixture
def web():
    """``.url``, ``.paths`` asked for so far, ``.status`` to answer with and ``.location`` to redirect to."""
    state = SimpleNamespace(paths=[], status=200, location="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.paths.append(self.path)
            body = b"{}"
            accepted = state.status == 200 and self.command == "POST"  # as the reference service answers messages
            self.send_response(202 if accepted else state.status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the server's own naming

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # callers that are killed hang up without a word
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def env_at():
    """``env_at(url, allow_load=True)`` -> Environment."""

    def make(url, *, allow_load=True):
        return Environment(name="test", description="a test", http=url, guard=Guard(allow_load=allow_load))

    return make


@pytest.fixture(scope="module")
def drive():
    """``drive(url, *requests, **endpoint)`` -> outcomes, connected, resent; see ``lean_driver.py``."""
    with driver() as order:
        yield order


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """``context(name)`` -> a server's context for that name, signed by the CA in ``.ca_file``.

    Another CA is in ``.other_ca_file``.
    """
    folder = tmp_path_factory.mktemp("tls")
    now = dt.datetime.now(dt.UTC)

    def build(subject, key, issuer, issuer_key, *, san=None, days=1):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.subject if issuer else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=5))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if san:
            builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = build("test CA", ca_key, None, ca_key)
    (folder / "ca.pem").write_bytes(pem(ca))

    def context(address, days=1):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = build("server", key, ca, ca_key, san=[x509.IPAddress(ipaddress.ip_address(address))], days=days)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "server.pem").write_bytes(pem(certificate) + secret)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(folder / "server.pem")
        return made

    other_key = ec.generate_private_key(ec.SECP256R1())
    (folder / "other.pem").write_bytes(pem(build("another CA", other_key, None, other_key)))
    context.ca_file, context.other_ca_file = str(folder / "ca.pem"), str(folder / "other.pem")
    return context


@pytest.fixture(scope="module")
def system():
    return load_system("x0tta6bl4")


@pytest.fixture
def page():
    """``page("stalling.py", period_s=1, stall_s=0)`` -> (url, process) of a server of this folder.

    That one stands still for a part of each period.
    """
    started = []

    def start(server="stalling.py", *, period_s=1.0, stall_s=0.0):
        port = free_port()
        argv = [sys.executable, str(Path(__file__).with_name(server)), str(port), str(period_s), str(stall_s)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "listening\n"
        return f"http://127.0.0.1:{port}", process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def muster(tmp_path):
    """``muster(url, *arguments)`` -> the started command, in a folder where environment ``web`` is that address.

    ``facts_of_it``: one line more of that environment.
    """
    facts = (CHECKOUT / "systems" / "x0tta6bl4.yaml").read_text(encoding="utf-8")
    (tmp_path / "systems").mkdir()
    started = []

    def start(url, *arguments, guard="{allow_load: true}", facts_of_it=""):
        extra = f"\n  web:\n    description: a test\n    http: {url}\n    guard: {guard}\n    {facts_of_it}\n"
        (tmp_path / "systems" / "x0tta6bl4.yaml").write_text(facts + extra, encoding="utf-8")
        argv = [sys.executable, "-m", "muster", "load", *arguments, "--env", "web"]
        environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), "NO_COLOR": "1"}
        started.append(
            subprocess.Popen(
                argv, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
