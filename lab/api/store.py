"""The store: objects by kind, one revision counter for all, and a history from which watches read.

Every method is synchronous and the server has one thread, so each call is atomic. Objects are never changed in place:
whoever holds a :class:`Stored` holds a value of one revision for ever, and its bytes are made once.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

FIRST_REVISION = 100  # a client that starts from "1", as people do to see a 410, sees one
HISTORY = 2048  # events kept for each kind

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Key = tuple[str, str]


class Expired(Exception):  # noqa: N818 - the word of the API
    """The history no longer holds what the reader asks for; it must list again."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")


def dumps(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(slots=True, eq=False)
class Stored:
    """One object at one revision. ``body`` has no kind and apiVersion and must not be changed."""

    key: Key
    body: dict[str, Any]
    revision: int
    _raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        """``body`` as JSON, made once."""
        if self._raw is None:
            self._raw = dumps(self.body)
        return self._raw

    @property
    def metadata(self) -> dict[str, Any]:
        """``body["metadata"]``."""
        metadata: dict[str, Any] = self.body["metadata"]
        return metadata


@dataclass(slots=True, eq=False)
class Event:
    """One change. ``before`` is what it replaced; of a deletion, ``after`` is the last state at its revision."""

    type: EventType
    after: Stored
    before: Stored | None

    @property
    def revision(self) -> int:
        """The revision that this change made."""
        return self.after.revision


Batch = list[Event]


@dataclass(eq=False)
class _Kind:
    """The objects and the history of one kind. ``first`` numbers the oldest event kept."""

    oldest: int
    objects: dict[Key, Stored] = field(default_factory=dict)
    history: deque[Event] = field(default_factory=deque)
    first: int = 0
    waiters: set[asyncio.Event] = field(default_factory=set)

    @property
    def end(self) -> int:
        return self.first + len(self.history)


class Store:
    """Objects of all kinds. ``kind`` below is the name under which a resource stores, such as "pods"."""

    def __init__(self, *, revision: int = FIRST_REVISION, history: int = HISTORY) -> None:
        self.revision = revision
        self._start = revision
        self._limit = history
        self._kinds: dict[str, _Kind] = {}
        self._any: set[asyncio.Event] = set()
        self.listeners: list[Callable[[str, Event], None]] = []

    def _kind(self, kind: str) -> _Kind:
        found = self._kinds.get(kind)
        if found is None:
            found = self._kinds[kind] = _Kind(self._start)
        return found

    def kinds(self) -> list[str]:
        """The names of all kinds that ever held an object."""
        return list(self._kinds)

    def get(self, kind: str, namespace: str, name: str) -> Stored | None:
        """One object, or None. ``namespace`` is "" for cluster-wide kinds."""
        return self._kind(kind).objects.get((namespace, name))

    def list(self, kind: str, namespace: str = "", revision: int | None = None) -> list[Stored]:
        """All objects, or those of one namespace, ordered by namespace and name; as they were at ``revision``.

        The past is the present without what happened since. Raises :class:`Expired` when that is not known any more.
        """
        objects = self._kind(kind).objects
        if revision is not None and revision < self.revision:
            objects = self._past(kind, revision)
        chosen = [one for key, one in objects.items() if not namespace or key[0] == namespace]
        chosen.sort(key=lambda one: one.key)
        return chosen

    def _past(self, kind: str, revision: int) -> dict[Key, Stored]:
        shelf = self._kind(kind)
        if revision < shelf.oldest:
            raise Expired(revision, shelf.oldest)
        objects = dict(shelf.objects)
        for event in reversed(shelf.history):
            if event.revision <= revision:
                break
            if event.before is None:
                del objects[event.after.key]
            else:
                objects[event.after.key] = event.before
        return objects

    def create(self, kind: str, namespace: str, body: dict[str, Any]) -> Stored:
        """Store a new object (the caller has checked that the name is free)."""
        name = body["metadata"]["name"]
        if (namespace, name) in self._kind(kind).objects:
            raise KeyError(name)
        return self._commit(kind, "ADDED", (namespace, name), body, None)

    def replace(self, kind: str, before: Stored, body: dict[str, Any]) -> Stored:
        """Store the next version of ``before``."""
        return self._commit(kind, "MODIFIED", before.key, body, before)

    def delete(self, kind: str, before: Stored, body: dict[str, Any] | None = None) -> Stored:
        """Remove an object; ``body`` is its last state if that differs from ``before``."""
        return self._commit(kind, "DELETED", before.key, body or before.body, before)

    def _commit(self, kind: str, change: EventType, key: Key, body: dict[str, Any], before: Stored | None) -> Stored:
        shelf = self._kind(kind)
        if before is not None and shelf.objects.get(key) is not before:
            raise KeyError(key)
        self.revision += 1
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.revision)}}
        after = Stored(key, body, self.revision)
        if change == "DELETED":
            del shelf.objects[key]
        else:
            shelf.objects[key] = after
        event = Event(change, after, before)
        shelf.history.append(event)
        if len(shelf.history) > self._limit:
            shelf.oldest = shelf.history.popleft().revision
            shelf.first += 1
        for waiter in (*shelf.waiters, *self._any):
            waiter.set()
        for listener in self.listeners:
            listener(kind, event)
        return after

    def oldest(self, kind: str) -> int:
        """The oldest revision from which a watch of this kind can start."""
        return self._kind(kind).oldest

    def load(self, kind: str, namespace: str, body: dict[str, Any]) -> None:
        """Put back an object of an earlier life, at the revision that it has; makes no event."""
        metadata = body["metadata"]
        key = (namespace, metadata["name"])
        self._kind(kind).objects[key] = Stored(key, body, int(metadata["resourceVersion"]))

    async def next_change(self) -> None:
        """Return when any object changes."""
        wake = asyncio.Event()
        self._any.add(wake)
        try:
            await wake.wait()
        finally:
            self._any.discard(wake)

    async def changes(self, kind: str, since: int, *, idle_s: float | None = None) -> AsyncGenerator[Batch]:
        """Batches of events after revision ``since``, for ever. Raises :class:`Expired`.

        An empty batch says that nothing happened for ``idle_s``: all up to the store's revision has been seen.

        Readers keep no queue: each follows the history with its own cursor, so that a slow one costs no memory and
        is told to list again when the history has gone past it.
        """
        shelf = self._kind(kind)
        if since < shelf.oldest:
            raise Expired(since, shelf.oldest)
        cursor = shelf.end
        for event in reversed(shelf.history):
            if event.revision <= since:
                break
            cursor -= 1
        wake = asyncio.Event()
        shelf.waiters.add(wake)
        try:
            while True:
                wake.clear()
                if cursor < shelf.first:
                    raise Expired(since, shelf.oldest)
                batch = list(_tail(shelf, cursor))
                if batch:
                    cursor += len(batch)
                    since = batch[-1].revision
                    yield batch
                else:
                    try:
                        async with asyncio.timeout(idle_s):
                            await wake.wait()
                    except TimeoutError:
                        yield []
        finally:
            shelf.waiters.discard(wake)


def _tail(shelf: _Kind, cursor: int) -> Iterator[Event]:
    """The events from number ``cursor`` on, oldest first."""
    missing = shelf.end - cursor
    if missing <= 0:
        return iter(())
    return reversed(list(islice(reversed(shelf.history), missing)))
