"""From the API's objects to what HAProxy should do, and what HAProxy then does with a host and a path."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from lab.ingress.routes import Wanted, detoured, wanted
from lab.ingress.runtime import Endpoint, Runtime
from lab.ingress.sync import assign, plan_pool, synchronise

PREFIX = "nginx.ingress.kubernetes.io/"


def service(name, ports=({"name": "http", "port": 80, "targetPort": "http"},)):
    return {"metadata": {"namespace": "shop", "name": name}, "spec": {"ports": list(ports)}}


def endpoint_slice(name, *endpoints, port=8080, port_name="http"):
    return {
        "metadata": {"namespace": "shop", "name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": port_name, "port": port}],
        "endpoints": [
            endpoint if isinstance(endpoint, dict) else {"addresses": [endpoint], "conditions": {"ready": True}}
            for endpoint in endpoints
        ],
    }


def ingress(name, *rules, annotations=None, default=None, created="2030-01-01T00:00:00Z"):
    """Rules are (host or None, path, pathType, service name)."""
    spec = {"rules": []}
    for host, path, kind, target in rules:
        backend = {"service": {"name": target, "port": {"name": "http"}}}
        rule = {"http": {"paths": [{"path": path, "pathType": kind, "backend": backend}]}}
        spec["rules"].append(rule | ({"host": host} if host else {}))
    if default:
        spec["defaultBackend"] = {"service": {"name": default, "port": {"number": 80}}}
    meta = {"namespace": "shop", "name": name, "creationTimestamp": created, "annotations": annotations or {}}
    return {"metadata": meta, "spec": spec}


def test_only_ready_endpoints_that_stay_are_wanted():
    """Not ready and terminating endpoints are left out; an unset condition counts as ready, as the API defines it."""
    endpoints = (
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
        {"addresses": ["10.0.0.3"], "conditions": {"ready": True, "terminating": True}},
        {"addresses": ["10.0.0.4"], "conditions": {}},
        {"addresses": ["10.0.0.5"]},
    )
    found = wanted([ingress("a", (None, "/", "Prefix", "web"))], [service("web")], [endpoint_slice("web", *endpoints)])
    addresses = {endpoint.address for endpoint in found.endpoints["shop/web:80"]}
    assert addresses == {"10.0.0.1", "10.0.0.4", "10.0.0.5"}


def test_the_port_of_an_endpoint_is_the_one_of_the_service_ports_name():
    """A service with two ports leads to the slice's port of the same name, an unnamed one to the unnamed."""
    two = service("two", ({"name": "mesh", "port": 9443}, {"name": "http", "port": 80}))
    bare = service("bare", ({"port": 80},))
    slices = [endpoint_slice("two", "10.0.0.1", port=8081), endpoint_slice("bare", "10.0.0.2", port_name="")]
    found = wanted(
        [ingress("a", (None, "/", "Prefix", "two")), ingress("b", default="bare")], [two, bare], slices
    ).endpoints
    assert found["shop/two:80"] == {Endpoint("10.0.0.1", 8081)}


@pytest.mark.parametrize(
    ("annotations", "weight"),
    [
        ({"canary-weight": "10"}, "1000"),
        ({"canary-weight": "1", "canary-weight-total": "3"}, "3333"),
        ({"canary-weight": "150"}, "10000"),
        ({"canary-weight": "-5"}, "0"),
        ({"canary-weight": "a lot"}, "0"),
        ({"canary-weight": "5", "canary-weight-total": "0"}, "0"),
        ({}, "0"),
    ],
)
def test_canary_annotations_become_a_weight(annotations, weight):
    """A weight is a share of canary-weight-total (100); what cannot be read sends nobody to the canary."""
    marks = {PREFIX + key: value for key, value in ({"canary": "true"} | annotations).items()}
    found = wanted(
        [
            ingress("main", (None, "/", "Prefix", "web")),
            ingress("try", (None, "/", "Prefix", "new"), annotations=marks),
        ],
        [service("web"), service("new")],
        [endpoint_slice("web", "10.0.0.1"), endpoint_slice("new", "10.0.0.2")],
    )
    assert found.maps["weight.map"] == {"prefix:*/": weight}
    assert found.maps["canary.map"] == {"prefix:*/": "shop/new:80"}
    assert found.maps["stable.map"] == {"prefix:*/": "shop/web:80"}


def test_a_canary_without_ready_endpoints_gets_nobody():
    """As with ingress-nginx, its share stays with the main service."""
    marks = {f"{PREFIX}canary": "true", f"{PREFIX}canary-weight": "50"}
    found = wanted(
        [
            ingress("main", (None, "/", "Prefix", "web")),
            ingress("try", (None, "/", "Prefix", "new"), annotations=marks),
        ],
        [service("web"), service("new")],
        [endpoint_slice("web", "10.0.0.1")],
    )
    assert found.maps["weight.map"] == {"prefix:*/": "0"}


def test_a_canary_of_nothing_and_a_missing_service_make_no_rule():
    """Neither a canary without its main ingress nor a backend that does not exist is routed to."""
    marks = {f"{PREFIX}canary": "true", f"{PREFIX}canary-weight": "50"}
    found = wanted(
        [ingress("try", (None, "/", "Prefix", "web"), annotations=marks), ingress("a", (None, "/", "Prefix", "gone"))],
        [service("web")],
        [],
    )
    assert not any(found.maps.values())


def test_the_oldest_ingress_keeps_a_path_that_two_claim():
    """Order of creation decides, not of listing."""
    young = ingress("a", (None, "/", "Prefix", "young"), created="2031-01-01T00:00:00Z")
    old = ingress("b", (None, "/", "Prefix", "old"))
    found = wanted([young, old], [service("young"), service("old")], [])
    assert found.maps["stable.map"] == {"prefix:*/": "shop/old:80"}


def test_a_path_that_the_runtime_api_could_misread_is_not_served():
    """Spaces and semicolons separate words and commands there: such a rule is left out, others are not."""
    found = wanted(
        [ingress("a", (None, "/x; shutdown", "Prefix", "web"), (None, "/ok", "Prefix", "web"))], [service("web")], []
    )
    assert found.maps["prefix.map"] == {"*/ok/": "prefix:*/ok/"}


def test_services_keep_their_pools_and_new_ones_get_free_ones():
    """A pool never changes hands while a route may still lead to it."""
    held = {"a": "pool03", "gone": "pool00"}
    assert assign(["a", "b"], held) == {"a": "pool03", "b": "pool01"}
    many = [f"s{number}" for number in range(20)]
    assert len(set(assign(many, {}).values())) == len(assign(many, {})) == 16


def test_more_endpoints_than_slots_are_counted_not_ignored():
    """A pool's slots are a limit, and what is over it is said."""
    plan = plan_pool([], frozenset({Endpoint("10.0.0.1", 80)}))
    assert plan.missing == 1


def test_haproxy_chooses_by_host_then_path_as_kubernetes_says(proxy, backend, ask):
    """Own host before wildcard before any; exact before prefix; the longest prefix by path element."""
    rules = (
        ("a.test", "/", "Prefix", "host"),
        ("*.test", "/", "Prefix", "wild"),
        (None, "/", "Prefix", "any"),
        (None, "/foo", "Prefix", "foo"),
        (None, "/foo/bar", "Prefix", "foobar"),
        (None, "/foo/bar", "Exact", "exact"),
    )
    expected = {
        ("a.test", "/foo"): "host",
        ("A.TEST:80", "/"): "host",
        ("b.test", "/x"): "wild",
        ("c.b.test", "/x"): "any",
        ("else", "/"): "any",
        ("else", "/foobar"): "any",
        ("else", "/foo"): "foo",
        ("else", "/foo/"): "foo",
        ("else", "/foo/x?q=/foo/bar"): "foo",
        ("else", "/foo/bar"): "exact",
        ("else", "/foo/bar/"): "foobar",
        ("else", "/foo/bar/x"): "foobar",
    }

    async def scenario():
        async with AsyncExitStack() as stack:
            await proxy.start()
            names = {rule[3] for rule in rules}
            backends = {name: await stack.enter_async_context(backend(name)) for name in names}
            found = wanted(
                [ingress("all", *rules)],
                [service(name) for name in names],
                [endpoint_slice(name, it.address) for name, it in backends.items()],
            )
            async with Runtime(proxy.socket) as runtime:
                await synchronise(runtime, found)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            got = {
                (host, path): await ask(session, proxy.url + path, headers={"Host": host}) for host, path in expected
            }
            assert got == expected

    asyncio.run(scenario())


def test_a_fault_in_front_of_a_pod_is_where_its_requests_go():
    """Only the endpoints that are named have another address; rules and services stay as they are."""
    plan = Wanted({"exact.map": {}}, {"shop/web:80": frozenset({Endpoint("127.3.0.1", 80), Endpoint("127.3.0.2", 80)})})
    found = detoured(plan, {"127.3.0.1:80": "127.3.255.254:4000", "127.9.9.9:80": "127.3.255.254:4001"})
    assert found.endpoints == {"shop/web:80": frozenset({Endpoint("127.3.255.254", 4000), Endpoint("127.3.0.2", 80)})}
    assert found.maps is plan.maps
