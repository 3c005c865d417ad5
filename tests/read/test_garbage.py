"""Whatever a source answers, a reading is a value or a typed failure, and the snapshot can be written."""

import json
import socket
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quick import quick

from muster.read import catalogue, take
from muster.snapshot import Snapshot
from muster.system.expectations import Dashboard, MetricName

SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEY = st.sampled_from(
    ["status", "data", "result", "resultType", "metric", "value", "labels", "groups", "rules", "name", "type", "config",
     "original", "items", "metadata", "spec", "dashboard", "panels", "title", "targets", "database", "alerts", "uid"]
)  # fmt: skip
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4), max_leaves=12
)
ANSWERED = JSON | JSON.map(lambda data: {"status": "success", "data": data})
RELAXED = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Everything(dict):
    """Every route has the same answer."""

    answer: object = b""

    def get(self, _path):
        return self.answer


@pytest.fixture
def world(serve, environment, workload, pod, system):
    """A system whose every source answers ``everything.answer``, except for one API server with one pod."""
    everything = Everything()
    server = serve(everything)
    api = serve({"/api/v1/namespaces/ns/pods": {"items": [pod("a")]}})
    here = environment(
        **dict.fromkeys(("http", "prometheus", "alertmanager", "grafana", "responder"), server.url),
        contacts={"first": {"kind": "webhook", "url": server.url}},
        kubernetes=workload(api.url, server.port),
    )
    facts = system.model_copy(
        update={
            "dashboards": [Dashboard(uid="a", title="A", source="tests")],
            "metric_names": [MetricName(pattern="a", metric="a", runbook="tiny#errors", source="tests")],
        }
    )
    return everything, facts, here


NAMES = [
    "error_ratio", "health", "ingress_health", "pqc_status", "mesh_status", "mesh_peers", "metrics", "targets", "rules",
    "alerts", "alertmanagers", "prometheus_ready", "series", "rule_series", "canary_series", "buckets",
    "metric_types", "routes", "notified", "silences",
    "alertmanager_ready", "pagers", "responder", "grafana_health", "dashboards", "panels",
]  # fmt: skip


def taken(world, answer, **changes):
    everything, facts, here = world
    everything.answer = answer
    snapshot = take(facts, here.model_copy(update=changes), NAMES)
    for name in NAMES:
        reading = snapshot.readings[name]
        assert reading.failure is None or (reading.failure.message and reading.value is None)
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    return snapshot


def test_these_are_all_that_is_read_over_http(world):
    """A new reading joins the list, or is one of Kubernetes or of TLS."""
    from muster.read.catalogue_kubernetes import KUBERNETES

    others = {reader.name for reader in KUBERNETES} | {"mesh_tls", "mesh_downgrade"}
    assert set(NAMES) == catalogue(world[1]).keys() - others


@RELAXED
@given(ANSWERED)
def test_json_of_any_shape_is_a_value_or_a_typed_failure(world, answer):
    """Right in its form, wrong in what it holds: no reader breaks on it."""
    taken(world, (200, json.dumps(answer).encode()))


@RELAXED
@given(st.binary(max_size=60), st.sampled_from([200, 204, 400, 404, 500, 503]))
def test_bytes_of_any_kind_are_a_value_or_a_typed_failure(world, body, status):
    """With any status."""
    if status != 204:
        taken(world, (status, body, ("Content-Type", "text/plain")))


def test_without_prometheus_garbage_on_metrics_is_a_typed_failure_too(world, monkeypatch):
    """The same indicators, from pages that are none."""
    from muster.read import metrics

    monkeypatch.setattr(metrics, "APART_S", 0.01)
    for body in (b"", b"\xff", b"all_total NaN\n", b"all_total{", b"all_total 1\n"):
        taken(world, (200, body, ("Content-Type", "text/plain")), prometheus="")


def test_a_run_against_servers_that_hang_ends_with_the_runs_deadline(world, system, environment):
    """Every source accepts and says nothing: all readings are timeouts, in the time that one of them has."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        url, held = f"http://127.0.0.1:{server.getsockname()[1]}", []

        def hold():
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        here = environment(**dict.fromkeys(("http", "prometheus", "alertmanager", "grafana", "responder"), url))
        without = {"health", "pqc_status", "mesh_status", "mesh_peers", "metrics", "pagers", "buckets"}
        without |= {"canary_series"}
        # No pods here, no contact, no quantile to ask about, no canary.
        names = [name for name in NAMES if name not in without]
        snapshot = quick(lambda: take(world[1], here, names, deadline_s=0.4, within_s=1.0), under_s=3)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for client in held:
            client.close()
    assert {reading.failure.kind.value for reading in snapshot.readings.values()} == {"timeout"}
