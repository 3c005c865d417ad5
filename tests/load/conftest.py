"""A small web server that counts, fails or redirects, and environments that point at it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from muster.system.environment import Environment, Guard

sys.path[:0] = [
    str(Path(__file__).parents[2] / "loadtests"),
    str(Path(__file__).parent),
]  # as Locust does it; hostile.py


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
    argv = [sys.executable, str(Path(__file__).with_name("lean_driver.py"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def order(url, *requests, **endpoint):
            order = {"url": url, "requests": list(requests) or [{}], **endpoint}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield order
        process.stdin.close()
        assert process.wait(10) == 0
