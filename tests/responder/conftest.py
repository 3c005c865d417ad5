"""Alerts, releases, environments and situations with sensible defaults."""

import http.server
import json
import threading
import time
from types import SimpleNamespace

import pytest

from muster.release import Release
from muster.responder.decide import Situation
from muster.responder.webhook import Alert
from muster.system import Environment, load_system

TRIGGER = "X0TTA6BL4ErrorRatioRollback"


@pytest.fixture
def system():
    """The facts that are shipped: X0TTA6BL4ErrorRatioRollback rolls back after 5 minutes of errors."""
    return load_system("x0tta6bl4")


@pytest.fixture
def make_env():
    """An environment at time scale 60 whose cluster is described by a kubeconfig."""

    def _make(kubeconfig="unused", **changes):
        kubernetes = {
            "kubeconfig": str(kubeconfig),
            "namespace": "shop",
            "deployment": "web",
            "container": "web",
            "selector": "app=web",
            "port": 8080,
        }
        given = {"name": "here", "description": "test", "time_scale": 60, "kubernetes": kubernetes, **changes}
        return Environment.model_validate(given)

    return _make


@pytest.fixture
def alert():
    """A firing rollback trigger; keywords change it, ``labels`` are added."""

    def _make(name=TRIGGER, *, status="firing", starts_at="2026-11-21T05:01:00.5Z", mark="f1", **labels):
        labels = {"alertname": name, "action": "rollback", "system": "x0tta6bl4", "environment": "here", **labels}
        return Alert(name=name, status=status, fingerprint=mark, starts_at=starts_at, labels=labels)

    return _make


@pytest.fixture
def release():
    """A release of which only the difference matters."""

    def _make(revision=2, template_hash="bad", **changes):
        given = {
            "namespace": "shop",
            "deployment": "web",
            "revision": revision,
            "template_hash": template_hash,
            "images": ("shop/web:2",),
            "digests": frozenset({"sha256:bb"}),
            "replicas": 3,
            "ready": 3,
            "created": 0.0,
        }
        return Release(**{**given, **changes})

    return _make


@pytest.fixture
def situation(alert, release):
    """One in which nothing speaks against a rollback."""

    def _make(**changes):
        given = {
            "alert": alert(),
            "now": 1000.0,
            "current": release(),
            "previous": release(1, "good"),
            "obstacle": "",
            "lock_holder": "",
            "last": None,
            "cool_down_s": 10.0,
            "fault_began": 900.0,
            "known": {},
        }
        return Situation(**{**given, **changes})

    return _make


@pytest.fixture
def prometheus():
    """A Prometheus with one value for any query, none for None, after ``delay_s``; ``asked`` are the queries."""
    tells = SimpleNamespace(value=0.0, delay_s=0.0, asked=[], url="")

    class _Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            tells.asked.append(self.path)
            time.sleep(tells.delay_s)
            result = [] if tells.value is None else [{"metric": {}, "value": [1.0, str(tells.value)]}]
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        tells.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield tells
        server.shutdown()
        thread.join()
