"""The store: one counter, one history, and watchers that miss nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.api.store import Expired, Store

OPERATIONS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["put", "delete", "pause"])), max_size=40)


def _apply(store: Store, name: str, action: str) -> None:
    held = store.get("pods", "ns", name)
    if action == "delete":
        if held is not None:
            store.delete("pods", held)
    elif held is None:
        store.create("pods", "ns", {"metadata": {"name": name}, "n": 0})
    else:
        store.replace("pods", held, {**held.body, "n": held.body["n"] + 1})


async def _write(store: Store, operations: list[tuple[str, str]]) -> None:
    for name, action in operations:
        if action == "pause":
            await asyncio.sleep(0)
        else:
            _apply(store, name, action)


async def _watch(store: Store, since: int, last: asyncio.Future[int]) -> list:
    seen = []
    async with aclosing(store.changes("pods", since, idle_s=0.005)) as changes:
        async for batch in changes:
            seen += batch
            if last.done() and (seen[-1].revision if seen else since) >= last.result():
                return seen
    raise AssertionError("a watch ended by itself")


@settings(max_examples=60)
@given(writers=st.lists(OPERATIONS, min_size=1, max_size=4), starts=st.lists(st.integers(0, 20), max_size=4))
def test_no_watcher_loses_an_event_or_sees_one_out_of_order(writers, starts):
    """Whatever writers do at once, every watcher sees every change once, in order, and ends with the store's state."""

    async def run() -> None:
        store = Store(history=10_000)
        last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        first = store.revision
        watchers = [asyncio.create_task(_watch(store, first, last))]
        tasks = [asyncio.create_task(_write(store, operations)) for operations in writers]
        for ticks in starts:
            for _ in range(ticks):
                await asyncio.sleep(0)
            watchers.append(asyncio.create_task(_watch(store, store.revision, last)))
        await asyncio.gather(*tasks)
        last.set_result(store.revision)
        for seen in await asyncio.wait_for(asyncio.gather(*watchers), 10):
            revisions = [event.revision for event in seen]
            begin = store.revision - len(revisions)
            assert revisions == list(range(begin + 1, store.revision + 1))
        world = {}
        for event in watchers[0].result():
            world[event.after.key[1]] = event.after.body
            if event.type == "DELETED":
                del world[event.after.key[1]]
        assert world == {one.key[1]: one.body for one in store.list("pods")}

    asyncio.run(run())


def test_events_name_what_happened():
    """A create, a change and a deletion are ADDED, MODIFIED and DELETED, each at a revision of its own."""
    store = Store()
    for action in ("put", "put", "delete"):
        _apply(store, "a", action)

    async def first() -> list:
        async with aclosing(store.changes("pods", 100)) as changes:
            return await anext(changes)

    events = asyncio.run(first())
    assert [(event.type, event.revision) for event in events] == [("ADDED", 101), ("MODIFIED", 102), ("DELETED", 103)]
    assert events[-1].after.metadata["resourceVersion"] == "103"


def test_a_history_that_has_passed_is_expired():
    """Who asks for more than the history holds is told so, at the start and in the middle of a watch."""
    store = Store(history=3)

    async def run() -> None:
        async with aclosing(store.changes("pods", store.revision)) as changes:
            _apply(store, "a", "put")
            await anext(changes)
            for _ in range(5):
                _apply(store, "a", "put")
            with pytest.raises(Expired):
                await anext(changes)
        with pytest.raises(Expired, match=r"too old resource version: 100 \(\d+\)"):
            await anext(store.changes("pods", 100))

    asyncio.run(run())


def test_revisions_are_shared_by_all_kinds():
    """One counter for the whole store: a change of one kind moves the version of a list of another."""
    store = Store()
    store.create("pods", "ns", {"metadata": {"name": "a"}})
    other = store.create("leases", "ns", {"metadata": {"name": "a"}})
    assert other.revision == store.revision == 102


def test_what_was_read_does_not_change():
    """A reader keeps the version that it read while the object moves on."""
    store = Store()
    _apply(store, "a", "put")
    held = store.get("pods", "ns", "a")
    raw = held.raw
    _apply(store, "a", "put")
    assert (held.body["n"], held.raw) == (0, raw)
    with pytest.raises(KeyError):
        store.replace("pods", held, held.body)


def test_the_past_is_what_it_was():
    """A list at an earlier revision has what was there, in the state that it had; too early is expired."""
    store = Store(history=4)
    for name, action in (("a", "put"), ("b", "put"), ("a", "put"), ("c", "put")):
        _apply(store, name, action)
    revision, then = store.revision, store.list("pods")
    for name, action in (("a", "delete"), ("b", "put"), ("d", "put")):
        _apply(store, name, action)
    assert store.list("pods", revision=revision) == then
    assert [one.key[1] for one in store.list("pods")] == ["b", "c", "d"]
    _apply(store, "b", "put")
    _apply(store, "b", "put")
    with pytest.raises(Expired):
        store.list("pods", revision=revision)
