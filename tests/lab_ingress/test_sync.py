"""HAProxy follows endpoints, routes and weights while users are served."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack

import aiohttp
import pytest

from lab.ingress.routes import Wanted
from lab.ingress.runtime import Endpoint, Runtime
from lab.ingress.sync import synchronise

MAIN, CANARY = "shop/main:80", "shop/canary:80"


def wants(main, canary=(), weight=0) -> Wanted:
    """One rule for everything, with or without a canary."""
    maps = {"exact.map": {}, "prefix.map": {"*/": "all"}, "stable.map": {"all": MAIN}}
    maps |= {"canary.map": {"all": CANARY} if canary else {}, "weight.map": {"all": str(weight)} if canary else {}}
    endpoints = {MAIN: frozenset(Endpoint(it.address, it.port) for it in main)}
    if canary:
        endpoints[CANARY] = frozenset(Endpoint(it.address, it.port) for it in canary)
    return Wanted(maps, endpoints)


async def apply(proxy, wanted: Wanted) -> None:
    async with Runtime(proxy.socket) as runtime:
        await synchronise(runtime, wanted)


async def start(proxy, stack: AsyncExitStack, backend, *names: str):
    await proxy.start()
    return [await stack.enter_async_context(backend(name)) for name in names]


def test_the_configuration_is_one_that_haproxy_accepts_without_a_warning(proxy):
    """HAProxy itself checks the rendered file."""
    import shutil
    import subprocess

    config = proxy.socket.parent / "haproxy.cfg"
    checked = subprocess.run(
        [shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/bin"), "-c", "-f", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr


def test_endpoints_come_and_go_under_load_and_no_request_is_lost(proxy, backend, users):
    """Every answer comes from a backend that was an endpoint; none is an error; the one that left gets nothing more."""

    async def scenario():
        async with AsyncExitStack() as stack:
            one, two, three = await start(proxy, stack, backend, "one", "two", "three")
            await apply(proxy, wants([one, two]))
            asking = await stack.enter_async_context(users())
            await asking.more(300)
            for change in ([one, two, three], [two, three], [three], [one, three], [one]):
                await apply(proxy, wants(change))
                await asking.more(300)
            gone = two.served + three.served
            await asking.more(300)
            assert set(asking.answers) == {"one", "two", "three"}
            assert two.served + three.served == gone

    asyncio.run(scenario())


def test_a_leaving_endpoint_finishes_the_request_that_it_is_serving(proxy, backend, ask, eventually):
    """Draining is not cutting: the answer still comes, and the slot is freed afterwards."""

    async def scenario():
        async with AsyncExitStack() as stack:
            (fast,) = await start(proxy, stack, backend, "fast")
            slow = await stack.enter_async_context(backend("slow"))
            slow.may_answer.clear()
            await apply(proxy, wants([slow]))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            request = asyncio.create_task(ask(session, proxy.url))
            async with Runtime(proxy.socket) as runtime:
                await eventually(lambda: runtime.busy("pool00"), "the slow request is under way")
            await apply(proxy, wants([fast]))
            assert await ask(session, proxy.url) == "fast"
            await apply(proxy, wants([fast]))
            async with Runtime(proxy.socket) as runtime:
                assert [slot.mode for slot in await runtime.slots("pool00")].count("drain") == 1
            slow.may_answer.set()
            assert await request == "slow"
            await apply(proxy, wants([fast]))
            async with Runtime(proxy.socket) as runtime:
                assert [slot.mode for slot in await runtime.slots("pool00")].count("maint") == 31

    asyncio.run(scenario())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_canary_gets_its_share(proxy, backend, users, share):
    """The share lies within six standard deviations of the weight; 0 and 1 are exact."""

    async def scenario():
        async with AsyncExitStack() as stack:
            main, canary = await start(proxy, stack, backend, "main", "canary")
            await apply(proxy, wants([main], [canary], round(share * 10_000)))
            asking = await stack.enter_async_context(users())
            await asking.more(4_500)
            count = asking.answers.total()
            assert set(asking.answers) <= {"main", "canary"}
            deviation = math.sqrt(count * share * (1 - share))
            assert abs(asking.answers["canary"] - count * share) <= 6 * deviation

    asyncio.run(scenario())


def test_a_weight_changes_under_load_without_a_lost_request(proxy, backend, users):
    """From 0 to 100 and back, users see nothing but answers."""

    async def scenario():
        async with AsyncExitStack() as stack:
            main, canary = await start(proxy, stack, backend, "main", "canary")
            await apply(proxy, wants([main]))
            asking = await stack.enter_async_context(users())
            for weight in (0, 1_000, 5_000, 10_000, 0):
                await apply(proxy, wants([main], [canary], weight))
                await asking.more(200)
            await apply(proxy, wants([main]))
            await asking.more(200)
            assert set(asking.answers) == {"main", "canary"}

    asyncio.run(scenario())


def test_a_backend_that_dies_costs_no_reads(proxy, backend, users):
    """Until the endpoint is taken away, refused and broken connections are repeated on another server."""

    async def scenario():
        async with AsyncExitStack() as stack:
            (one,) = await start(proxy, stack, backend, "one")
            doomed = backend("doomed")
            await doomed.__aenter__()
            await apply(proxy, wants([one, doomed]))
            asking = await stack.enter_async_context(users())
            await asking.more(200)
            await doomed.__aexit__()
            await asking.more(1_000)
            assert set(asking.answers) == {"one", "doomed"}

    asyncio.run(scenario())


def test_a_restarted_haproxy_is_filled_again(proxy, backend, ask):
    """The same pass that keeps it in step builds it from nothing; without endpoints 503, without a rule 404."""

    async def scenario():
        async with AsyncExitStack() as stack:
            (one,) = await start(proxy, stack, backend, "one")
            session = await stack.enter_async_context(aiohttp.ClientSession())
            for _ in range(2):
                assert await ask(session, proxy.url) == "404"
                await apply(proxy, wants([]))
                assert await ask(session, proxy.url) == "503"
                await apply(proxy, wants([one]))
                assert await ask(session, proxy.url) == "one"
                proxy.stop()
                await proxy.start()

    asyncio.run(scenario())


def test_an_address_that_haproxy_refuses_lets_nothing_in(proxy, backend, ask):
    """The slot stays closed and the other endpoints are served."""

    async def scenario():
        async with AsyncExitStack() as stack:
            (one,) = await start(proxy, stack, backend, "one")
            wanted = wants([one])
            wanted.endpoints[MAIN] |= {Endpoint("no.such.address", 80)}
            await apply(proxy, wanted)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            assert {await ask(session, proxy.url) for _ in range(6)} == {"one"}
            async with Runtime(proxy.socket) as runtime:
                assert [slot.mode for slot in await runtime.slots("pool00")].count("ready") == 1

    asyncio.run(scenario())


def test_a_pass_with_nothing_to_do_changes_nothing(proxy, backend):
    """A second pass finds the state that the first one left."""

    async def scenario():
        async with AsyncExitStack() as stack:
            one, two = await start(proxy, stack, backend, "one", "two")
            await apply(proxy, wants([one], [two], 100))
            async with Runtime(proxy.socket) as runtime:
                before = [await runtime.slots(pool) for pool in ("pool00", "pool01", "pool02")]
                await synchronise(runtime, wants([one], [two], 100))
                assert [await runtime.slots(pool) for pool in ("pool00", "pool01", "pool02")] == before
                assert sum(slot.mode == "ready" for slots in before for slot in slots) == 2

    asyncio.run(scenario())
