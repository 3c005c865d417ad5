"""The proxy by itself, on the event loop that the node agent runs on."""

import asyncio

import pytest
import uvloop

from lab.chaos.links import Effect
from lab.chaos.proxy import Proxy

CONNECTIONS = 200


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_pieces_that_follow_each_other_all_arrive(loop):
    """An answer in two pieces and its end, each some milliseconds after the other: none waits for ever."""

    async def answer(reader, writer):
        await reader.readline()
        for piece in (b"a", b"b"):
            writer.write(piece)
            await asyncio.sleep(0.002)
        writer.close()

    async def asked(address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x\n")
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.transport.abort()

    async def scenario():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        effect = Effect(delay_s=0.02)
        proxy = Proxy(lambda _source, _destination: effect)
        address = await proxy.open("127.0.0.1", server.sockets[0].getsockname()[:2])
        try:
            answers = await asyncio.gather(*(asked(address) for _ in range(CONNECTIONS)), return_exceptions=True)
            assert answers == [b"ab"] * CONNECTIONS
        finally:
            proxy.close()
            server.close()
            await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())
