"""Readings are taken once, at the same time, each within its own deadline."""

import asyncio

import pytest
from patient import take
from quick import quick

from muster.errors import UsageError
from muster.read import catalogue
from muster.read.session import Reader, Session
from muster.snapshot import FailureKind

HEALTH = {"status": "ok", "version": "1", "dependencies": {}}
PODS = "/api/v1/namespaces/ns/pods"


def test_sources_are_read_at_the_same_time(system, environment, serve):
    """Five readings of 0.3 s each take about 0.3 s in all."""
    slow = serve({"/health": HEALTH, "/api/v2/silences": [], "/api/v2/alerts": []}, delay_s=0.3)
    rules = serve({"/api/v1/alerts": _ok({"alerts": []}), "/api/v1/rules": _ok({"groups": []})}, delay_s=0.3)
    here = environment(http=slow.url, alertmanager=slow.url, prometheus=rules.url)
    names = ["ingress_health", "silences", "notified", "alerts", "rules"]
    snapshot = quick(lambda: take(system, here, names), under_s=1.2)
    assert all(reading.failure is None for reading in snapshot.readings.values())


def test_what_many_need_is_read_once(system, environment, serve, workload, pod):
    """Four readings of every replica ask for the pods once, and each replica once."""
    replicas = serve({"/health": HEALTH, "/mesh/status": {}, "/mesh/peers": {}, "/security/pqc/status": {}})
    api = serve({PODS: {"items": [pod("a"), pod("b")]}})
    here = environment(kubernetes=workload(api.url, replicas.port))
    snapshot = take(system, here, ["health", "mesh_status", "mesh_peers", "pqc_status"])
    assert len(api.asked) == 1
    assert sorted(snapshot.readings["health"].value) == ["a", "b"]
    assert len(replicas.asked) == 8


def test_what_failed_below_fails_above_with_its_reason(system, environment, workload, free_port):
    """Without the pods no replica can be asked, and the reading says why."""
    here = environment(kubernetes=workload(f"http://127.0.0.1:{free_port}", 1))
    snapshot = take(system, here, ["health"])
    assert snapshot.readings["health"].failure == snapshot.readings["pods"].failure
    assert snapshot.readings["health"].failure.kind is FailureKind.REFUSED


def test_one_replica_that_fails_does_not_hide_the_others(system, environment, serve, workload, pod, free_port):
    """The reading holds what is known, and the failure of the one that is not."""
    good = serve({"/health": HEALTH})
    api = serve({PODS: {"items": [pod("good"), pod("gone", ip="127.0.0.9")]}})
    value = take(system, environment(kubernetes=workload(api.url, good.port)), ["health"]).readings["health"].value
    assert value["good"]["status_code"] == 200
    assert value["gone"]["failure"]["kind"] == "refused"


def test_a_replica_without_an_address_is_left_to_the_pod_checks(system, environment, serve, workload, pod):
    """A pod that is leaving, or has no address, is not asked; when none is left the reading is empty, not fine."""
    leaving = pod("leaving")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    api = serve({PODS: {"items": [leaving, pod("pending", ip="")]}})
    found = take(system, environment(kubernetes=workload(api.url, 1)), ["health"]).readings["health"].failure
    assert found.kind is FailureKind.EMPTY


def test_the_run_has_a_deadline_of_its_own(system, environment, serve):
    """A reading that is not in when the run's time is over is a timeout; what is in stays."""
    slow, prompt = serve({"/api/v2/silences": []}, delay_s=8.0), serve({"/health": HEALTH})
    here = environment(alertmanager=slow.url, http=prompt.url)
    snapshot = take(system, here, ["silences", "ingress_health"], deadline_s=20.0, within_s=3.0)
    assert snapshot.readings["silences"].failure.kind is FailureKind.TIMEOUT
    assert snapshot.readings["ingress_health"].failure is None


def test_a_readings_own_deadline_is_for_those_that_need_longer(system, environment):
    """Whoever gives every reading more time gives it to that one, too."""

    async def late(_session):
        await asyncio.sleep(0.3)
        return "late"

    async def run():
        reader = Reader(name="late", read=late, source=lambda _: "here", needs="nothing", deadline_s=0.1)
        async with Session(system, environment(), {"late": reader}, deadline_s=20.0) as session:
            return await session.take(["late"], within_s=30.0)

    assert asyncio.run(run())["late"].value == "late"


def test_a_reading_that_nobody_knows_is_a_mistake_of_the_caller(system, environment):
    """Unknown names are refused, with the known ones."""
    with pytest.raises(UsageError, match="there is no reading 'helth'; there are alertmanager_ready, alertmanagers"):
        take(system, environment(), ["helth"])


def test_an_slo_may_not_take_the_name_of_a_reading(system):
    """Two things of one name would be one fixture: the facts are refused."""
    slo = {"pods": system.slo["error_ratio"]}
    with pytest.raises(UsageError, match=r"slo\.pods has the name of a reading"):
        catalogue(system.model_copy(update={"slo": slo}))


def test_secrets_do_not_reach_the_snapshot(system, environment, serve, workload, pod):
    """Environment variables of pods, telling keys in bodies and passwords in addresses are all gone."""
    body = {**HEALTH, "api_key": "s3cret", "dependencies": {"db": {"status": "ok", "url": "pg://joe:s3cret@db/x"}}}
    replica = serve({"/health": body})
    api = serve({PODS: {"items": [pod("a")]}})
    here = environment(kubernetes=workload(api.url, replica.port), http=replica.url)
    text = take(system, here, ["health", "pods", "ingress_health"]).to_json()
    for secret in ("s3cret", "hunter2", "sesame"):
        assert secret not in text


def _ok(data):
    return {"status": "success", "data": data}
