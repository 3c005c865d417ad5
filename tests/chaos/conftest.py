"""Small servers that answer what a test tells them, and stories to be told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from ports import free_port

from muster.chaos import everybody, watch
from muster.chaos import story as stories
from muster.chaos.story import Story
from muster.kube import Kube, KubeError, load_access
from muster.wait import wait_until

PATIENT = "from muster.chaos import everybody, watch\neverybody.TIMEOUT_S = watch.TIMEOUT_S = 30.0\n"


@pytest.fixture(autouse=True)
def patient_watchers(monkeypatch):
    """What they watch is served by this very process, which may stand still for longer than they would wait."""
    for module in (everybody, watch):
        monkeypatch.setattr(module, "TIMEOUT_S", 30.0)


@pytest.fixture
def patient_environ(tmp_path):
    """The environment of a Python of its own whose watchers are as patient."""
    folder = tmp_path / "patient"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(PATIENT)
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture
def serve():
    """``serve({"/path": body or callable(query)})`` -> ``.url``, ``.answers``, ``.headers``, ``.status``, ``.stop()``.

    A path that nobody announced is answered 404, so that a wrong request cannot pass for an empty answer.
    """
    servers = []

    def begin(answers):
        state = SimpleNamespace(answers=answers, status=200, headers={})

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                state.headers = dict(self.headers)
                body = state.answers.get(parts.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                body = body(query) if callable(body) else body
                raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(404 if body is None else state.status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"

        def stop():
            if thread.is_alive():
                server.shutdown()
                server.server_close()
                thread.join(5)

        state.stop = stop
        servers.append(state)
        return state

    yield begin
    for state in servers:
        state.stop()


@pytest.fixture
def story():
    """A story that is being told."""
    told = Story("test", "x0tta6bl4", "lab")
    stories.begin(told)
    yield told
    stories.end()


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A session with a real API server of the lab's, in which there is a namespace ``shop``; ``.kubeconfig`` is its."""
    state = tmp_path_factory.mktemp("api")
    port = free_port()
    argv = [sys.executable, "-m", "lab.api", "--state", str(state), "--port", str(port)]
    with (state / "api.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    config = state / "kubeconfig"
    try:
        wait_until(config.is_file, bool, what="the kubeconfig", timeout_s=30)
        with Kube(load_access(config), timeout_s=60) as kube:
            kube.kubeconfig = config
            look = lambda: kube.get("/api/v1/namespaces")  # noqa: E731
            wait_until(look, bool, what="the API", timeout_s=30, tolerate=(KubeError,))
            kube.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
            yield kube
    finally:
        process.terminate()
        process.wait(20)
