"""A world of small real servers: whatever is not expected of them is a 404, and fails the test."""

import json
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import ports
import pytest
import yaml
from patient import take

from muster.system.environment import Environment
from muster.system.model import System


class Server:
    """Serves ``routes``: path -> body, (status, body), or a function of the query string that returns either."""

    def __init__(self, routes, host="127.0.0.1", port=0, delay_s=0.0):
        self.asked, self.unexpected = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path, _, query = self.path.partition("?")
                outer.asked.append(self.path)
                time.sleep(delay_s)
                answer = routes.get(path)
                if answer is None:
                    outer.unexpected.append(self.path)
                    answer = (404, {"error": "no such route"})
                answer = answer(query) if callable(answer) else answer
                status, body, *headers = answer if isinstance(answer, tuple) else (200, answer)
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(raw)
                except OSError:
                    self.close_connection = True  # the client had enough

            def log_message(self, *args):
                """Tests are quiet."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                """A client that hangs up is part of these tests."""

        self._http = Quiet((host, port), Handler)
        self.host, self.port = self._http.server_address[:2]
        self.url = f"http://{self.host}:{self.port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        assert not self.unexpected, f"unknown routes were asked: {self.unexpected}"


@contextmanager
def servers():
    """Start servers, and close them at the end."""
    with ExitStack() as stack:

        def start(routes, **options):
            server = Server(routes, **options)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def serve():
    """Start a server for the length of the test."""
    with servers() as start:
        yield start


@pytest.fixture(scope="module")
def serve_module():
    """Start a server for the length of the file."""
    with servers() as start:
        yield start


@pytest.fixture
def free_port():
    """A port on which nothing listens."""
    return ports.free_port()


@pytest.fixture
def system():
    """The least system that there is: one SLO."""
    return System.model_validate(
        {
            "schema": "muster/system/v1",
            "name": "tiny",
            "title": "Tiny",
            "runbooks": {"tiny": {"title": "Tiny", "url": "tiny.md"}},
            "contacts": {"on-call": {"title": "On-call"}},
            "slo": {
                "error_ratio": {
                    "title": "errors",
                    "unit": "ratio",
                    "query": "sum(rate(all_total{code='bad',{selector}}[{window}]))"
                    " / sum(rate(all_total{{selector}}[{window}]))",
                    "per_replica": "sum by (pod) (rate(all_total{code='bad',{selector}}[{window}]))"
                    " / sum by (pod) (rate(all_total{{selector}}[{window}]))",
                    "window": "1m",
                    "series": ["all_total"],
                    "runbook": "tiny#errors",
                    "critical": {"above": "5%", "source": "tests"},
                }
            },
            "alerts": {},
            "no_data": {
                "alert": "DataAbsent",
                "title": "absent",
                "tell": ["on-call"],
                "runbook": "tiny#",
                "source": "tests",
            },
            "environments": {"here": {"description": "these tests"}},
        }
    )


@pytest.fixture
def environment():
    """An environment with these sources."""

    def make(**sources):
        return Environment.model_validate({"name": "here", "description": "these tests", **sources})

    return make


@pytest.fixture
def workload(tmp_path):
    """The kubernetes section for an API server at this address."""

    def make(server_url, port, mesh_port=None):
        user = {"name": "u", "user": {"token": "sesame"}}
        cluster = {"name": "c", "cluster": {"server": server_url}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [cluster], "users": [user], "contexts": [context],
        }  # fmt: skip
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        return {
            "kubeconfig": str(file), "namespace": "ns", "deployment": "app", "container": "app",
            "selector": "app=app", "port": port, "mesh_port": mesh_port,
        }  # fmt: skip

    return make


@pytest.fixture
def read(system):
    """One reading, taken now and with time to spare."""

    def one(environment, name, **options):
        return take(system, environment, [name], **options).readings[name]

    return one


@pytest.fixture
def pod():
    """A pod as the API gives it."""

    def make(name, ip="127.0.0.1", **changes):
        container = {"name": "app", "image": "app:1", "env": [{"name": "DB_PASSWORD", "value": "hunter2"}]}
        status = {
            "name": "app", "ready": True, "restartCount": 0, "image": "app:1",
            "imageID": "registry/app@sha256:aa", "state": {"running": {}},
        }  # fmt: skip
        return {
            "metadata": {"name": name, "labels": {"app": "app", "pod-template-hash": "h1"}},
            "spec": {"containers": [container], "nodeName": "node"},
            "status": {
                "phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [status],
            },
            **changes,
        }  # fmt: skip

    return make
