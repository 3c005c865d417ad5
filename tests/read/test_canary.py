"""Readings of a canary: who is led to it as its Ingress says, and what Prometheus has of it by its selector."""

import time
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest
from patient import take

from muster.snapshot import FailureKind
from muster.system import load_system

NGINX = "nginx.ingress.kubernetes.io/canary"
APPS = "/apis/apps/v1/namespaces/ns/deployments"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/ns/ingresses"
CANARY = {"ingress": "next", "deployment": "next", "metric_selector": 'app="next"'}


def ingress(**notes):
    return {"metadata": {"name": "next", "annotations": {NGINX: "true"} | notes}}


def deployment(replicas):
    return {
        "metadata": {"name": "next"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "next"}}},
    }


def ready(seconds, **metadata):
    since = datetime.fromtimestamp(time.time() - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": since}
    return {"metadata": {"name": "p", **metadata}, "status": {"conditions": [condition]}}


@pytest.fixture
def canary(serve, environment, workload):
    """``canary(routes)``: the reading of it from an API with these routes."""

    def _canary(routes):
        source = workload(serve(routes).url, 1)
        env = environment(kubernetes=source, rollback={"canary": CANARY})
        return take(load_system("x0tta6bl4"), env, ["canary"]).readings["canary"]

    return _canary


def test_share_ways_and_pods_are_read(canary):
    """A pod that is going away is not one of its own; the longest ready one says how long Prometheus had."""
    pods = [ready(90), ready(20), ready(500, deletionTimestamp="2026-01-01T00:00:00Z")]
    note = {f"{NGINX}-weight": "10", f"{NGINX}-by-cookie": "beta"}
    found = canary(
        {
            INGRESSES: {"items": [ingress(**note)]},
            f"{APPS}/next": deployment(2),
            "/api/v1/namespaces/ns/pods": {"items": pods},
        }
    ).value
    assert 80 < found.pop("ready_for_s") < 400
    told = {"deployment": "next", "ingress": "next", "share": 0.1, "ways": ["by-cookie"], "wanted": 2, "ready": 2}
    assert found == told


def test_canary_that_is_not_there_gets_nobody(canary):
    """Between two releases a pipeline may leave neither its Ingress nor its Deployment."""
    gone = 404, {"kind": "Status", "message": 'deployments.apps "next" not found', "reason": "NotFound"}
    found = canary({INGRESSES: {"items": []}, f"{APPS}/next": gone})
    assert (found.value["share"], found.value["wanted"], found.value["ready"]) == (0.0, 0, 0)


def test_weight_that_is_no_number_is_no_zero(canary):
    """Who gets it is then not known."""
    found = canary({INGRESSES: {"items": [ingress(**{f"{NGINX}-weight": "some"})]}})
    assert found.failure.kind is FailureKind.UNPARSEABLE
    assert "no number" in found.failure.message


def test_series_of_its_triggers_are_counted_by_its_own_selector(serve, environment):
    """Those of the rollback triggers, as the rules render them; not what other programs tell of the pods."""
    asked = []

    def _answer(query):
        asked.append(parse_qs(query)["query"][0])
        of_up = next(i for i, part in enumerate(asked[-1].split(" or ")) if "(up{" in part)
        numbers = {"0": "4", str(of_up): "2"}
        result = [{"metric": {"selector": index}, "value": [1.0, number]} for index, number in numbers.items()]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}

    prometheus = serve({"/api/v1/query": _answer}).url
    env = environment(prometheus=prometheus, time_scale=60, rollback={"canary": CANARY})
    found = take(load_system("x0tta6bl4"), env, ["canary_series"]).readings["canary_series"].value
    assert found["selector"] == 'app="next"'
    assert "x0tta6bl4_requests_total" in found["series"]
    assert max(found["series"].values()) == 4
    assert found["settles_s"] == 12.5
    assert found["scraped"] == 2
    assert len(asked) == 1
    assert 'count(up{app="next"} == 1)' in asked[0]
    assert all('{app="next"}' in part for part in asked[0].split(" or "))


def test_environment_without_a_canary_of_its_own_declares_none(environment):
    """Nothing is asked."""
    found = take(load_system("x0tta6bl4"), environment(prometheus="http://127.0.0.1:1"), ["canary", "canary_series"])
    kinds = {name: found.readings[name].failure.kind for name in ("canary", "canary_series")}
    assert set(kinds.values()) == {FailureKind.UNDECLARED}
