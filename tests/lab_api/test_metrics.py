"""metrics.k8s.io: what the node agents measure, in the words of metrics-server."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from ports import free_port

PODS = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
NODES = "/apis/metrics.k8s.io/v1beta1/nodes"


@contextmanager
def _agent(summary: dict) -> Iterator[int]:
    """A node agent that tells this summary; answers its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = json.dumps(summary).encode()
            self.send_response(200 if self.path == "/stats/summary" else 404)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *arguments: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def _node(http: httpx.Client, port: int) -> None:
    body = {"metadata": {"name": "lab-node"}}
    http.post("/api/v1/nodes", json=body)
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "allocatable": {"cpu": "2", "memory": "2Gi"},
    }
    http.put("/api/v1/nodes/lab-node/status", json={**body, "status": status}).raise_for_status()


def _stats(cores: float, memory: int) -> dict:
    return {"cpu": {"usageNanoCores": round(cores * 1e9)}, "memory": {"workingSetBytes": memory}}


@pytest.fixture
def read(server, wait_until):
    """What the server answers: asked again while the agent, a thread of the test's own process, is too slow for it."""

    def ask(path: str, **params: str) -> dict:
        answer = wait_until(lambda: (got := server.http.get(path, params=params)).status_code != 503 and got, "metrics")
        return answer.json()

    return ask


@pytest.fixture
def server(run_api, tmp_path):
    """A server of its own: nodes belong to all of a cluster."""
    with run_api(tmp_path) as server:
        yield server


def test_usage_is_told_as_metrics_server_tells_it(server, read, pod):
    """Nanocores and Ki; labels select as they select pods; a pod that is not this one any more is left out."""
    http = server.http
    made = http.post("/api/v1/namespaces/default/pods", json=pod("one")).json()
    reference = {"name": "one", "namespace": "default", "uid": made["metadata"]["uid"]}
    containers = [{"name": "main", **_stats(0.25, 64 << 20)}]
    pods = [
        {"podRef": reference, "containers": containers},
        {"podRef": {**reference, "uid": "of-its-predecessor"}, "containers": containers},
    ]
    with _agent({"node": {"nodeName": "lab-node", **_stats(0.5, 1 << 30)}, "pods": pods}) as port:
        _node(http, port)
        listed = read(PODS, labelSelector="app=one")
        assert (listed["kind"], len(listed["items"])) == ("PodMetricsList", 1)
        usage = {"cpu": "250000000n", "memory": "65536Ki"}
        assert listed["items"][0]["containers"] == [{"name": "main", "usage": usage}]
        assert read(PODS, labelSelector="app=other")["items"] == []
        assert read(f"{PODS}/one")["kind"] == "PodMetrics"
        missing = read(f"{PODS}/two")["message"]
        assert missing == 'podmetrics.metrics.k8s.io "default/two" not found'
        assert read(f"{NODES}/lab-node")["usage"]["cpu"] == "500000000n"
        assert http.post(PODS, json={}).status_code == 405


def test_kubectl_top_shows_pods_and_nodes(server, pod, tmp_path, wait_until):
    """Rounded as kubectl does, with the share of the node."""
    import shutil
    import subprocess

    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH: install the client of Kubernetes to run the tests that it judges")
    http = server.http
    made = http.post("/api/v1/namespaces/default/pods", json=pod("one")).json()
    reference = {"name": "one", "namespace": "default", "uid": made["metadata"]["uid"]}
    pods = [{"podRef": reference, "containers": [{"name": "main", **_stats(0.25, 64 << 20)}]}]

    def top(kind: str) -> list[str]:
        argv = ["kubectl", "--kubeconfig", str(server.kubeconfig), "--cache-dir", str(tmp_path / "cache"), "top", kind]
        run = functools.partial(subprocess.run, argv, capture_output=True, text=True, timeout=30, check=False)
        return wait_until(lambda: (said := run()).returncode == 0 and said.stdout.split(), f"top {kind}")

    with _agent({"node": {"nodeName": "lab-node", **_stats(0.5, 1 << 30)}, "pods": pods}) as port:
        _node(http, port)
        assert top("pods") == ["NAME", "CPU(cores)", "MEMORY(bytes)", "one", "250m", "64Mi"]
        assert top("nodes")[-5:] == ["lab-node", "500m", "25%", "1024Mi", "50%"]


def test_an_agent_that_does_not_answer_is_a_503(server, unused_port):
    """The group stays in discovery, as an aggregated API's does."""
    _node(server.http, unused_port)
    refused = server.http.get(PODS)
    assert (refused.status_code, refused.json()["reason"]) == (503, "ServiceUnavailable")
    assert refused.json()["message"] == "the server is currently unable to handle the request"
    names = [one["name"] for one in server.http.get("/apis/metrics.k8s.io/v1beta1").json()["resources"]]
    assert names == ["nodes", "pods"]


@pytest.fixture
def unused_port() -> int:
    return free_port()
