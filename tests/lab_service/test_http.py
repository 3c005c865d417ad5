"""What a replica answers, counts and says when it leaves."""

from __future__ import annotations

import itertools
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import yaml

import lab
from lab.service.telemetry import REQUEST_BUCKETS

STABLE, CANARY = "x0tta6bl4-staging", "x0tta6bl4-staging-canary"


def test_health_names_version_replica_and_dependencies(replica):
    """A replica alone is ok while its mesh may still form."""
    answer = replica.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["version"], body["replica"]) == ("ok", "3.4.0", "r0")
    assert set(body["dependencies"]) == {"mesh", "pqc"}
    assert replica.get("/health/ready").status_code == 200


def test_a_missing_dependency_degrades_health_and_says_which(replicas, eventually):
    """The answer stays 200: a restart would not bring the dependency back."""
    (it,) = replicas(DEPENDENCIES="store=127.0.0.1:9")

    def degraded():
        answer = it.get("/health")
        return answer if answer.json()["status"] == "degraded" else None

    answer = eventually(degraded, "store is down")
    assert answer.status_code == 200
    assert answer.json()["dependencies"]["store"] == {"status": "down"}


def test_requests_are_counted_but_probes_and_scrapes_are_not(replica):
    """/health* and /metrics would dilute the error ratio; everything else is in it, unknown paths as one endpoint."""
    before = replica.metric("x0tta6bl4_requests_total")
    for path in ("/health", "/health/ready", "/metrics"):
        replica.get(path)
    assert replica.metric("x0tta6bl4_requests_total") == before
    for path in ("/api/v1/ping", "/mesh/status", "/no/such", "/nor/this"):
        replica.get(path)
    assert replica.metric("x0tta6bl4_requests_total") == before + 4
    assert replica.metric("x0tta6bl4_requests_total", endpoint="other", status="404") == 2
    assert replica.metric("x0tta6bl4_request_duration_seconds_count", endpoint="/api/v1/ping") == 1
    assert replica.metric("x0tta6bl4_errors_total", type="client") == 2


def test_metrics_are_valid_and_the_series_of_the_alerts_exist_from_the_start(replica):
    """Promtool finds no fault, every threshold of the runbooks is a bucket bound, and nothing that alerts is absent."""
    answer = replica.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    if promtool := shutil.which("promtool"):
        checked = subprocess.run([promtool, "check", "metrics"], input=answer.content, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr
    assert {0.1, 0.2, 0.5, 1.0} <= set(REQUEST_BUCKETS)
    assert replica.metric("x0tta6bl4_requests_total", endpoint="/api/v1/ping", status="500") == 0
    assert replica.metric("x0tta6bl4_build_info", version="3.4.0") == 1
    assert replica.metric("x0tta6bl4_pqc_handshake_failure_total") == 0
    assert replica.metric("x0tta6bl4_pqc_fallback_enabled") == 0
    assert replica.metric("x0tta6bl4_mesh_peers") == 0
    assert replica.metric("process_cpu_seconds_total") > 0


def test_a_replica_is_small(replica):
    """Resident memory under 60 MB: the lab runs many."""
    assert 5e6 < replica.metric("process_resident_memory_bytes") < 60e6


def test_messages_are_accepted_and_bad_ones_refused(replica):
    """202 for a message, 400 for what is none, 413 for too much, 405 for a wrong method, HEAD without body."""
    post = replica.http.post
    assert post("/api/v1/messages", json={"to": "r1", "text": "hi"}).status_code == 202
    assert replica.get("/api/v1/messages").json()["messages"][0]["text"] == "hi"
    assert post("/api/v1/messages", content=b"{").status_code == 400
    assert post("/api/v1/messages", json=["hi"]).status_code == 400
    assert post("/api/v1/messages", content=b"x" * 70_000).status_code == 413
    assert post("/api/v1/ping").status_code == 405
    head = replica.http.head("/api/v1/ping")
    assert (head.status_code, head.content) == (200, b"")


def test_sigterm_drains_and_then_exits_0(replicas, eventually):
    """Not ready at once, still answering, each answer closing its connection; gone once nobody asks."""
    (replica,) = replicas(DRAIN_S="30", DRAIN_QUIET_S="4")  # or whoever asks a little late finds nobody
    replica.up().process.send_signal(signal.SIGTERM)
    eventually(lambda: replica.get("/health/ready").status_code == 503, "not ready")
    answer = replica.get("/api/v1/ping")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert replica.process.wait(20) == 0


def test_a_farewell_lasts_while_users_come_but_not_for_ever(replicas):
    """No request fails during the drain, and DRAIN_S bounds it."""
    (it,) = replicas(DRAIN_S="5", DRAIN_QUIET_S="3.5")
    it.up()
    it.process.send_signal(signal.SIGTERM)
    answered = [time.monotonic()]
    try:
        while answered[-1] - answered[0] < 60:
            assert it.get("/api/v1/ping").status_code == 200
            answered.append(time.monotonic())
    except httpx.TransportError:
        assert it.process.wait(20) == 0
    answered.append(time.monotonic())
    assert len(answered) > 10
    assert answered[-1] - answered[0] < 30
    longest_pause_s = max(late - early for early, late in itertools.pairwise(answered))
    assert answered[-1] - answered[0] > 4.9 or longest_pause_s > 3


def test_a_second_sigterm_ends_it_at_once(replicas, eventually):
    """Whoever asks twice means it."""
    (it,) = replicas(DRAIN_S="30", DRAIN_QUIET_S="30")
    it.up()
    it.process.send_signal(signal.SIGTERM)
    eventually(lambda: it.get("/health/ready").status_code == 503, "the first is heard")  # two at once would be one
    it.process.send_signal(signal.SIGTERM)
    assert it.process.wait(15) == 0


def test_a_request_under_way_is_finished_before_the_exit(replicas):
    """A slow answer that began before SIGTERM still comes."""

    def comes() -> bool:
        (it,) = replicas(FAULT_LATENCY_MS="700", DRAIN_QUIET_S="0")
        it.up()
        with socket.create_connection((it.address, 8080), timeout=20) as asking:
            asking.sendall(b"GET /api/v1/ping HTTP/1.1\r\nHost: r0\r\n\r\n")
            assert it.get("/health").status_code == 200  # it hears one after the other: the slow one is under way
            it.process.send_signal(signal.SIGTERM)
            answer = asking.recv(4096)
        assert it.process.wait(20) == 0
        return answer.startswith(b"HTTP/1.1 200 ")

    assert any(comes() for _ in range(3))  # one that stood still for longer than its grace has none left


def test_a_port_in_use_is_one_sentence_and_a_failure(replica, tmp_path):
    """The second one on the same address says why it cannot start."""
    twin = type(replica)(tmp_path, replica.address, "twin", {})
    assert twin.process.wait(30) == 1
    twin.end()
    assert "in use" in twin.log.read_text()
    assert "Traceback" not in twin.log.read_text()


@pytest.fixture
def manifests():
    """The objects of the lab's manifests by kind and name."""
    root = Path(lab.__file__).parent / "manifests"
    found = (item for path in sorted(root.glob("*.yaml")) for item in yaml.safe_load_all(path.read_text()))
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


def containers(item) -> list[dict]:
    return item["spec"]["template"]["spec"]["containers"]


def test_the_manifests_limit_memory_above_the_alert_and_know_the_image(manifests):
    """A limit under 2.4 GB would kill before anybody is told; the image and tag must be ones that can be pulled."""
    images = yaml.safe_load((Path(lab.__file__).parent / "images.yaml").read_text())["images"]
    for container in (each for item in manifests.values() if item["kind"] == "Deployment" for each in containers(item)):
        name, _, tag = container["image"].rpartition(":")
        assert tag in images[name]["tags"]
    [stable] = containers(manifests["Deployment", "x0tta6bl4-staging"])
    assert stable["resources"]["limits"]["memory"] == "3Gi"


def test_the_canary_is_the_same_build_beside_the_stable_track_and_no_part_of_it(manifests):
    """One replica of the same container, under a label of its own that the stable Service does not select."""
    stable, canary = (manifests["Deployment", name] for name in (STABLE, CANARY))
    assert containers(canary) == containers(stable)
    assert canary["spec"]["replicas"] == 1
    for name, deployment in ((STABLE, stable), (CANARY, canary)):
        selector = {"app": name}
        assert deployment["spec"]["selector"]["matchLabels"] == selector
        assert deployment["spec"]["template"]["metadata"]["labels"] == selector
        assert manifests["Service", name]["spec"]["selector"] == selector
    marks = manifests["Ingress", CANARY]["metadata"]["annotations"]
    assert marks == {
        f"nginx.ingress.kubernetes.io/{key}": value for key, value in (("canary", "true"), ("canary-weight", "0"))
    }
