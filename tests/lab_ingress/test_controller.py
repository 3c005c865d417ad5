"""The controller between a Kubernetes API and HAProxy: what is written to the one happens in the other."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack

import aiohttp
import pytest

from lab.client import MERGE
from lab.ingress import run
from lab.resources import ENDPOINTSLICES, INGRESSES, NAMESPACES, SERVICES

CANARY = "nginx.ingress.kubernetes.io/"


async def deploy(client, name: str, backends, annotations: dict[str, str] | None = None) -> None:
    """A service, its endpoints and an ingress that leads all paths to it."""
    meta = {"namespace": "shop", "name": name}
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"selector": {"app": name}, "ports": ports}
    await client.create(SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints(backends),
    }
    await client.create(ENDPOINTSLICES, slices)
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    rules = [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"rules": rules}}
    await client.create(INGRESSES, body | {"metadata": {**meta, "annotations": annotations or {}}})


def endpoints(backends):
    return [{"addresses": [it.address], "conditions": {"ready": True}} for it in backends]


async def addressed(client) -> bool:
    status = (await client.get(INGRESSES, "shop", "main")).get("status") or {}
    return (status.get("loadBalancer") or {}).get("ingress") == [{"ip": "127.0.0.1"}]


@contextlib.asynccontextmanager
async def controlling(client, state):
    task = asyncio.create_task(run(client, state))
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()
        await asyncio.sleep(0.1)  # aiohttp ends TLS connections in the background and offers nothing to await


@pytest.fixture
def world(proxy, api, backend):
    """HAProxy, API, the controller between them and three backends, of which one and two are deployed."""

    @contextlib.asynccontextmanager
    async def make():
        async with AsyncExitStack() as stack:
            backends = [await stack.enter_async_context(backend(name)) for name in ("one", "two", "three")]
            await proxy.start()
            client = await api.start()
            await stack.enter_async_context(controlling(client, api.state))
            meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
            await client.create(NAMESPACES, meta)
            await deploy(client, "main", backends[:2])
            session = await stack.enter_async_context(aiohttp.ClientSession())
            yield client, backends, session

    return make


def test_what_is_written_to_the_api_reaches_users_within_a_second_and_costs_none(world, users, ask, proxy, eventually):
    """Endpoints, a canary and its weight change while users ask; every answer is one of a backend."""

    async def scenario():
        async with AsyncExitStack() as stack:
            client, (one, two, three), session = await stack.enter_async_context(world())

            async def served(*names: str) -> bool:
                return {await ask(session, proxy.url) for _ in range(10)} == set(names)

            took_s = []

            async def soon(what: str, *names: str) -> None:
                began = asyncio.get_running_loop().time()
                await eventually(lambda: served(*names), what)
                took_s.append(asyncio.get_running_loop().time() - began)

            await eventually(lambda: served("one", "two"), "both endpoints are served")
            await eventually(lambda: addressed(client), "the ingress has its address")
            asking = await stack.enter_async_context(users())
            await client.patch(ENDPOINTSLICES, "shop", "main", {"endpoints": endpoints([one])}, kind=MERGE)
            await soon("one endpoint left", "one")
            marks = {f"{CANARY}canary": "true", f"{CANARY}canary-weight": "0"}
            await deploy(client, "try", [two, three], marks)
            await asking.more(300)
            assert await served("one")
            for weight, names in (("100", ("two", "three")), ("0", ("one",))):
                mark = {"metadata": {"annotations": {f"{CANARY}canary-weight": weight}}}
                await client.patch(INGRESSES, "shop", "try", mark, kind=MERGE)
                await soon(f"weight {weight}", *names)
            await client.delete(INGRESSES, "shop", "try")
            await asking.more(300)
            assert set(asking.answers) == {"one", "two", "three"}
            assert min(took_s) < 1.0, took_s  # a machine that stands still does so for one of three, not for all

    asyncio.run(scenario())


def test_users_are_served_while_the_api_is_away(world, api, users):
    """A lost API empties no pool."""

    async def scenario():
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(world())
            asking = await stack.enter_async_context(users())
            await asking.more(100)
            before = dict(asking.answers)
            api.stop()
            await asyncio.sleep(1.5)  # longer than a pass and an informer's first tries
            await asking.more(100)
            assert set(asking.answers) - set(before) <= {"one", "two"}

    asyncio.run(scenario())


def test_a_restarted_haproxy_serves_again_within_two_seconds(world, proxy, ask, eventually):
    """Nobody tells the controller: it looks."""

    async def scenario():
        async with AsyncExitStack() as stack:
            _, _, session = await stack.enter_async_context(world())

            async def served() -> bool:
                return await ask(session, proxy.url) in {"one", "two"}

            await eventually(served, "served at first")
            took_s = []
            while len(took_s) < 3 and not (took_s and took_s[-1] < 2.0):  # the machine may stand still for one of them
                proxy.stop()
                await proxy.start()
                began = asyncio.get_running_loop().time()
                await eventually(served, "served again")
                took_s.append(asyncio.get_running_loop().time() - began)
            assert min(took_s) < 2.0, took_s

    asyncio.run(scenario())
