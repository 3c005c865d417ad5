"""A controller that is told to end ends, whatever comes at that very moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from lab.ingress.address import keep_published
from lab.ingress.runtime import Runtime


@pytest.mark.parametrize("turns", range(6))
def test_a_change_at_the_moment_of_the_end_does_not_hide_the_end(turns):
    """``asyncio.wait_for`` of Python 3.11 returns what it awaited and forgets that it was cancelled meanwhile."""
    handlers = []
    informer = SimpleNamespace(on_change=handlers.append, items=lambda: ())

    async def scenario():
        task = asyncio.create_task(keep_published(None, informer, "127.0.0.1"))
        await asyncio.sleep(0.05)  # it waits for a change by now
        handlers[0](None, None)
        for _ in range(turns):
            await asyncio.sleep(0)
        await ended(task)

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", range(6))
def test_an_answer_at_the_moment_of_the_end_does_not_hide_the_end(turns):
    """The same while HAProxy answers."""

    async def scenario():
        haproxy = Runtime(None)
        haproxy._reader, haproxy._writer = asyncio.StreamReader(), SimpleNamespace(write=lambda _: None)

        async def ask_on():
            while True:
                await haproxy.read_map("m")

        task = asyncio.create_task(ask_on())
        await asyncio.sleep(0.05)
        haproxy._reader.feed_data(b"\n> ")
        for _ in range(turns):
            await asyncio.sleep(0)
        await ended(task)

    asyncio.run(scenario())


async def ended(task):
    """Cancel it once, as a task group does."""
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=20)
    if not done:
        task.cancel()
        await asyncio.wait([task], timeout=20)
    assert done, "it was told to end, and went on"
    assert task.cancelled()
