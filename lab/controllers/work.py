"""Keyed work: each key is worked on by one worker at a time, failures come back with growing delays."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from lab.client import Client
from lab.errors import ApiError
from lab.informer import Informer
from lab.recorder import Recorder
from lab.resources import Object, Resource

_FIRST_RETRY_S = 0.005
_MAX_RETRY_S = 5.0
_log = logging.getLogger(__name__)


class Informers:
    """One informer per kind, shared by all controllers of a process."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._all: dict[Resource, Informer] = {}
        self._running: dict[Resource, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def of(self, resource: Resource) -> Informer:
        """The informer of this kind; made on first use, at any time."""
        if resource not in self._all:
            self._all[resource] = Informer(self._client, resource)
            self._start(resource)
        return self._all[resource]

    def forget(self, resource: Resource) -> None:
        """Stop following a kind that is served no longer."""
        self._all.pop(resource, None)
        if running := self._running.pop(resource, None):
            running.cancel()

    def _start(self, resource: Resource) -> None:
        if self._tasks is not None:
            running = self._tasks.create_task(self._all[resource].run(), name=f"informer {resource.plural}")
            self._running[resource] = running

    async def run(self) -> None:
        """Keep all of them in step until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            for resource in self._all:
                self._start(resource)
            await asyncio.Event().wait()  # until cancelled, however many there are


class Controller(ABC):
    """Brings the world to what one object asks for, whenever something about it has changed.

    A subclass registers informer handlers that :meth:`enqueue` keys, and implements :meth:`sync`. A sync that raises
    :class:`ApiError` is tried again with a back-off of 5 ms doubling to 5 s; conflicts mean that somebody wrote first.
    """

    name: str
    workers = 4

    def __init__(self, client: Client, informers: Informers, recorder: Recorder) -> None:
        self.client = client
        self.informers = informers
        self.recorder = recorder
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        self._active: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sources: list[Informer] = []

    @abstractmethod
    async def sync(self, key: str) -> None:
        """Compare what should be with what is for ``key`` and take the next step."""

    def enqueue(self, key: str) -> None:
        """Have ``key`` looked at soon; many calls before that make one look."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def enqueue_after(self, key: str, delay_s: float) -> None:
        """Have ``key`` looked at in ``delay_s`` at the latest."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known is not None and not known.cancelled() and known.when() <= loop.time() + delay_s:
            return
        if known is not None:
            known.cancel()
        self._timers[key] = loop.call_later(max(0.0, delay_s), self._due, key)

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self.enqueue(key)

    def on_change(self, resource: Resource, handler: Callable[[Object | None, Object | None], None]) -> Informer:
        """Register a handler and return the informer it listens to."""
        informer = self.informers.of(resource)
        self._sources.append(informer)
        informer.on_change(handler)
        return informer

    async def run(self) -> None:
        """Work until cancelled, once what it looks at is in step; a kind that nobody serves stops only its own."""
        await asyncio.gather(*(informer.synced.wait() for informer in self._sources))
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(self.workers):
                    tasks.create_task(self._work(), name=f"{self.name} worker {number}")
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._active.add(key)
            try:
                await self.sync(key)
                self._failures.pop(key, None)
            except ApiError as error:
                self._retry(key, error)
            except Exception:  # noqa: BLE001  # one odd object must not stop the work on all others
                _log.exception("%s: %s failed", self.name, key)
                self._retry(key, None)
            finally:
                self._active.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.enqueue(key)

    def _retry(self, key: str, error: ApiError | None) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay_s = min(_FIRST_RETRY_S * 2**failures, _MAX_RETRY_S)
        if error is not None and not (error.conflict or error.not_found or error.unreachable):
            _log.warning("%s: %s: %s; again in %.3f s", self.name, key, error, delay_s)
        self.enqueue_after(key, delay_s)
