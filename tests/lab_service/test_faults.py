"""What goes wrong with a release does go wrong, by the amount that was asked for."""

from __future__ import annotations

import itertools
import math
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from lab.service import faults, settings
from lab.service.dependencies import Dependencies
from lab.service.settings import SettingsError
from lab.service.telemetry import Telemetry


def test_the_error_ratio_is_the_one_asked_for_and_only_of_the_api(replicas):
    """15% within six standard deviations; status pages and health are spared; errors are counted and logged thinly."""
    (it,) = replicas(FAULT_ERROR_RATIO="0.15")
    it.up()
    count, began = 2_250, time.monotonic()
    failed = sum(it.get("/api/v1/ping").status_code == 500 for _ in range(count))
    assert abs(failed - 0.15 * count) <= 6 * math.sqrt(count * 0.15 * 0.85)
    assert {it.get(path).status_code for path in ("/mesh/status", "/health", "/health/ready") * 30} == {200}
    assert it.metric("x0tta6bl4_requests_total", status="500") == failed
    assert it.metric("x0tta6bl4_errors_total", type="internal") == failed
    lines = [line for line in it.log.read_text().splitlines() if " ERROR api " in line]
    assert 0 < len(lines) <= 5 * (time.monotonic() - began + 2)  # five a second; a slow machine fails slowly, too


def test_latency_is_added_to_the_api_and_measured(replicas):
    """The histogram sees it, under the bound that the runbook's threshold needs."""
    (it,) = replicas(FAULT_LATENCY_MS="120")
    it.up()
    took = []
    for _ in range(10):
        began = time.monotonic()
        it.get("/api/v1/ping")
        took.append(time.monotonic() - began)
    assert min(took) >= 0.12
    duration = "x0tta6bl4_request_duration_seconds"
    assert it.metric(f"{duration}_bucket", endpoint="/api/v1/ping", le="0.1") == 0
    assert it.metric(f"{duration}_count", endpoint="/api/v1/ping") == 10


def test_a_latency_distribution_has_its_named_percentiles():
    """Linear between the points, flat outside; a plain number is all requests."""
    found = faults.load({"FAULT_LATENCY_MS": "p50:50,p95:600"})
    delays = sorted(found.delay_s() for _ in range(20_000))
    assert delays[0] == 0.05
    assert delays[-1] == 0.6
    assert delays[10_000] == pytest.approx(0.05, abs=0.02)
    assert delays[14_500] == pytest.approx(0.05 + 0.55 * 0.225 / 0.45, abs=0.02)
    assert faults.load({"FAULT_LATENCY_MS": "600"}).delay_s() == 0.6
    assert faults.load({}).delay_s() == 0.0


def test_latency_may_differ_by_endpoint():
    """Each endpoint its own distribution, and one for the others."""
    found = faults.load({"FAULT_LATENCY_MS": "/api/v1/route=p50:20,p95:20; /api/v1/ping=0; 600"})
    asked = ("/api/v1/route", "/api/v1/ping", "/api/v1/messages")
    assert [found.delay_s(endpoint) for endpoint in asked] == [0.02, 0.0, 0.6]
    assert faults.load({"FAULT_LATENCY_MS": "/api/v1/route=20"}).delay_s("/api/v1/ping") == 0.0


def test_a_missing_dependency_is_shown_by_health_and_no_other(replicas):
    """The one that is named is down from the first answer on; the other, really there, stays ok."""
    with socket.create_server(("127.0.0.1", 0)) as store:
        address = f"127.0.0.1:{store.getsockname()[1]}"
        (it,) = replicas(DEPENDENCIES=f"store={address},queue={address}", FAULT_DEPENDENCY_DOWN="queue")
        health = it.up().get("/health").json()
    assert health["status"] == "degraded"
    assert {name: health["dependencies"][name]["status"] for name in ("store", "queue")} == {
        "store": "ok",
        "queue": "down",
    }


def test_a_release_that_ignores_sigterm_goes_on_until_it_is_killed(replicas, eventually):
    """Still ready and serving after SIGTERM: only SIGKILL ends it."""
    (it,) = replicas(FAULT_IGNORE_SIGTERM="1")
    it.up().process.send_signal(signal.SIGTERM)
    eventually(lambda: "told to end, and staying" in it.log.read_text(), "it has heard")
    assert it.get("/health/ready").status_code == 200
    it.process.kill()
    assert it.process.wait(5) == -signal.SIGKILL


def test_a_wrong_version_is_reported_everywhere(replicas):
    """Health, API and metric agree with one another, and not with the image."""
    (it,) = replicas(FAULT_VERSION="3.3.9")
    assert it.up().get("/health").json()["version"] == it.get("/api/v1/ping").json()["version"] == "3.3.9"
    assert it.metric("x0tta6bl4_build_info", version="3.3.9") == 1


@pytest.mark.parametrize(
    ("named", "gone"),
    [
        ("all", {"x0tta6bl4_requests_total", "x0tta6bl4_pqc_fallback_enabled", "x0tta6bl4_build_info"}),
        ("x0tta6bl4_requests_total", {"x0tta6bl4_requests_total"}),
    ],
)
def test_silent_metrics_vanish_while_the_target_stays_up(replicas, named, gone):
    """The page answers 200, so ``up`` is 1; what was named is absent, not 0, and process metrics stay."""
    (it,) = replicas(FAULT_SILENT_METRICS=named)
    it.up().get("/api/v1/ping")
    answer = it.get("/metrics")
    assert answer.status_code == 200
    shown = {line.split(" ")[2] for line in answer.text.splitlines() if line.startswith("# TYPE ")}
    assert "process_resident_memory_bytes" in shown
    assert not gone & shown
    assert ("x0tta6bl4_mesh_peers" in shown) == (named != "all")


def test_a_never_ready_release_is_alive_but_not_ready(replicas):
    """Health is 200, readiness stays 503."""
    (it,) = replicas(FAULT_NEVER_READY="1")
    it.up()
    assert it.get("/health/ready").status_code == 503


def test_a_crashing_release_crashes_when_told(replicas):
    """Exit code 1 and a last line that grep ERROR finds."""
    (it,) = replicas(FAULT_CRASH_AFTER_S="0.5")
    assert it.process.wait(30) == 1
    assert "ERROR" in it.log.read_text()


def test_a_hanging_release_answers_nothing_and_is_deaf(replicas, eventually):
    """Once it hangs, the kernel takes connections and nobody answers; SIGTERM ends nothing, SIGKILL does."""
    (it,) = replicas(FAULT_HANG_AFTER_S="0.3")
    eventually(lambda: "ERROR fatal: waiting for a lock" in it.log.read_text(), "it hangs")
    with pytest.raises(httpx.ReadTimeout):
        it.http.get("/health", timeout=0.5)
    it.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        it.process.wait(1)
    it.process.kill()
    assert it.process.wait(10) == -signal.SIGKILL


def test_a_leak_is_resident_memory(replicas, eventually):
    """40 MB/s shows in the process' own resident set."""
    (it,) = replicas(FAULT_MEMORY_LEAK_MB_S="40")
    it.up()
    before = it.metric("process_resident_memory_bytes")
    eventually(lambda: it.metric("process_resident_memory_bytes") > before + 30e6, "it leaks", 5)


def test_a_burn_is_cpu_and_leaves_the_service_answering(replicas, eventually):
    """A second of CPU is used, half a core's worth at most, while requests are still answered."""
    began = time.monotonic()
    (it,) = replicas(FAULT_CPU_BURN="0.5")
    it.up()
    process = psutil.Process(it.process.pid)

    def burnt_s() -> float:
        assert it.get("/api/v1/ping").status_code == 200
        return max(each.user_time + each.system_time for each in process.threads() if each.id != process.pid)

    eventually(lambda: burnt_s() > 1, "a second of CPU is used")
    used_s = burnt_s()
    assert used_s < (time.monotonic() - began) / 2 + 0.1
    assert it.metric("process_cpu_seconds_total") >= used_s


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FAULT_EROR_RATIO", "0.1"),
        ("FAULT_ERROR_RATIO", "15"),
        ("FAULT_ERROR_RATIO", "nan"),
        ("FAULT_LATENCY_MS", "fast"),
        ("FAULT_LATENCY_MS", "p50:1,p50:2"),
        ("FAULT_LATENCY_MS", "p150:1,p50:2"),
        ("FAULT_LATENCY_MS", "/api/v1/ping=1;/api/v1/ping=2"),
        ("FAULT_DEPENDENCY_DOWN", ""),
        ("FAULT_VERSION", "3.4 beta"),
        ("FAULT_SILENT_METRICS", "a,,b"),
        ("FAULT_NEVER_READY", "perhaps"),
        ("FAULT_PQC_FALLBACK", "yes"),
        ("FAULT_CPU_BURN", "-1"),
        ("FAULT_MEMORY_LEAK_MB_S", "inf"),
    ],
)
def test_a_fault_that_is_not_understood_is_refused(name, value):
    """A drill whose fault does nothing would prove nothing."""
    with pytest.raises(SettingsError, match=name):
        faults.load({name: value})


def test_a_fault_that_names_nothing_of_this_service_is_refused():
    """A dependency that it has not, a family that it does not show, a time that is none."""
    with pytest.raises(SettingsError, match="store is not one of DEPENDENCIES"):
        Dependencies({"queue": ("127.0.0.1", 1)}, ["store"])
    with pytest.raises(SettingsError, match="x0tta6bl4_typo_total is not a family"):
        Telemetry("3.4.0").silence(["x0tta6bl4_typo_total"])
    for time_s in ("for ever", "-1", "nan", "1e12"):
        with pytest.raises(SettingsError, match="CERT_VALID_S"):
            settings.load({"CERT_VALID_S": time_s})


@pytest.mark.parametrize(
    "environment",
    [
        {"FAULT_TYPO": "1"},
        {"PORT": "http"},
        {"MESH_PEERS": "a=b:c"},
        {"DEPENDENCIES": "store"},
        {"FAULT_LATENCY_MS": "/api/v2/ping=600"},
    ],
)
def test_a_setting_that_cannot_be_used_ends_the_replica_with_one_sentence(environment, tmp_path):
    """Exit 2, no traceback."""
    ended = subprocess.run(
        [sys.executable, "-m", "lab.service"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == 2
    assert next(iter(environment)) in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_every_fault_of_the_table_is_a_field_with_a_healthy_default():
    """The table and the dataclass name the same things."""
    fields = {field for field, _ in faults.TABLE.values()}
    assert fields == set(faults.Faults.__dataclass_fields__)
    assert not any(itertools.chain(vars(faults.Faults()).values()))
