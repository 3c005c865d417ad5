"""The real Prometheus and Alertmanager with the lab's rules: detected in the predicted time, told to the right ones."""

import json
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml
from ports import free_port

from muster.rules import detection, write
from muster.wait import wait_until

ALERT = "X0TTA6BL4ErrorRatioRollback"
CONTACTS = ("on-call", "senior", "team-lead", "security", "engineering-lead", "cto")
DELIVERY_S = 6.0  # of a busy machine that may stand still; the prediction itself counts no delivery


class World(ThreadingHTTPServer):
    """A replica whose error ratio can be set, a pager and a responder, on one port."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.error_ratio, self.good, self.bad, self.counted = 0.0, 0.0, 0.0, time.monotonic()
        self.scraped = threading.Event()
        self.received, self.arrived = [], threading.Condition()

    def metrics(self):
        now = time.monotonic()
        requests, self.counted = 1000 * (now - self.counted), now
        self.bad += requests * self.error_ratio
        self.good += requests * (1 - self.error_ratio)
        self.scraped.set()
        return (
            f'x0tta6bl4_requests_total{{status="200"}} {self.good}\n'
            f'x0tta6bl4_requests_total{{status="500"}} {self.bad}\n'
        ).encode()

    def wait_for(self, wanted, timeout_s):
        """The first received (at, path, body) that is wanted."""
        with self.arrived:
            found = self.arrived.wait_for(lambda: next((one for one in self.received if wanted(one)), None), timeout_s)
        assert found, f"nothing of the kind in {timeout_s} s; received: {[path for _, path, _ in self.received]}"
        return found


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        assert self.path == "/metrics"
        self._answer(200, self.server.metrics())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.arrived:
            self.server.received.append((time.monotonic(), self.path, body))
            self.server.arrived.notify_all()
        self._answer(202, b"{}")

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def world():
    with World() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def run(tmp_path):
    """Starts programs and ends them, last one first."""
    started = []

    def start(*argv):
        log = (tmp_path / f"{argv[0]}.log").open("w")
        started.append((subprocess.Popen([str(word) for word in argv], stdout=log, stderr=log, cwd=tmp_path), log))

    yield start
    for process, log in reversed(started):
        process.terminate()
        process.wait(15)
        log.close()


@pytest.fixture
def watched(world, run, lab_of, system, tmp_path):
    """Prometheus and Alertmanager with the rendered files, scraping the world; returns the environment."""
    if not all(shutil.which(name) for name in ("prometheus", "prometheus-alertmanager")):
        pytest.skip("prometheus and prometheus-alertmanager are not installed")
    ports = [free_port(), free_port()]
    keys = tmp_path / "keys"
    keys.mkdir()
    for contact in CONTACTS:
        (keys / contact).write_text(f"key-of-{contact}")
    (tmp_path / "token").write_text("secret")
    lab = lab_of(sink=world.url, responder=world.url, pager_keys=str(keys), token_file=str(tmp_path / "token"))
    write(system, lab, tmp_path)
    static = {"targets": [world.url.removeprefix("http://")], "labels": {"namespace": "x0tta6bl4-staging"}}
    static["labels"] |= {"app": "x0tta6bl4-staging", "pod": "x0tta6bl4-staging-1"}
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{ports[1]}"]}]}]},
        "scrape_configs": [{"job_name": "x", "static_configs": [static]}],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    manager = ("--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address=")
    run("prometheus-alertmanager", *manager, f"--web.listen-address=127.0.0.1:{ports[1]}")
    listen = f"--web.listen-address=127.0.0.1:{ports[0]}"
    run("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", listen)
    assert world.scraped.wait(30), "Prometheus never scraped"
    return lab.model_copy(update={"prometheus": f"http://127.0.0.1:{ports[0]}"})


def wait_until_measured(environment, query):
    """Until Prometheus has a value of it."""
    url, asked = f"{environment.prometheus}/api/v1/query", {"params": {"query": query}, "timeout": 30}
    wait_until(
        lambda: httpx.get(url, **asked, trust_env=False).json()["data"]["result"],
        lambda result: result and result[0]["value"][1] != "NaN",
        what=f"a value of {query}",
        timeout_s=20,
    )


def test_fifteen_percent_errors_are_detected_as_predicted_and_told_to_the_right_people(watched, world, system):
    """Responder and pagers hear of it within the predicted time, and hear its end."""
    wait_until_measured(watched, "x0tta6bl4:error_ratio:rate1m")
    predicted = detection(system, watched, ALERT, value=0.15)
    # a window with gaps fills sooner
    wait_until_measured(watched, 'count_over_time(x0tta6bl4_requests_total{status="200"}[1s]) >= 4')
    world.metrics()
    broken, world.error_ratio = time.monotonic(), 0.15

    def of(path, action):
        def wanted(one):
            _, where, body = one
            alert = body.get("groupLabels", {}).get("alertname") or body.get("payload", {}).get("class")
            state = body.get("status") or body.get("event_action")
            return where == path and state == action and (alert == ALERT or action in ("resolve", "resolved"))

        return wanted

    at, _, body = world.wait_for(of("/alerts", "firing"), predicted.upper_s + 10)
    assert predicted.lower_s - 0.3 < at - broken < predicted.upper_s + DELIVERY_S, str(predicted)
    assert body["commonLabels"]["action"] == "rollback"
    assert "error_ratio 15% > 10% over 1s for 5s" in body["commonAnnotations"]["description"]
    paged, _, page = world.wait_for(of("/v2/enqueue", "trigger"), 20)
    assert paged - broken < predicted.upper_s + DELIVERY_S
    assert page["payload"]["severity"] == "critical"
    assert page["payload"]["custom_details"]["slo"] == "error_ratio"
    world.error_ratio = 0.0
    world.wait_for(of("/alerts", "resolved"), 30)
    world.wait_for(of("/v2/enqueue", "resolve"), 30)
    paged = {
        one["routing_key"] for _, path, one in world.received
        if path == "/v2/enqueue" and one.get("payload", {}).get("class") == ALERT
    }  # fmt: skip
    assert paged == {"key-of-on-call", "key-of-team-lead"}
