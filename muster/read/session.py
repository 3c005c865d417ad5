"""One run of reading: every reading at most once, all at the same time, each with its own deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from muster.read.failures import ReadError, explain
from muster.read.http import Http
from muster.read.redact import Redactor, known_secrets
from muster.snapshot import Failure, FailureKind, Reading
from muster.system.model import Environment, System

T = TypeVar("T")
READING_DEADLINE_S = 2.0
RUN_DEADLINE_S = 6.0
FEW = 100  # replicas that are asked at once; each further one waits for its turn, and
TURN_S = 0.002  # so much longer may a reading of all of them take


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How one reading is taken.

    ``source`` gives the address that it reads in an environment, or "" where the environment declares none; ``needs``
    says in words what is then missing. ``after`` are readings whose values it gets, in that order, after the session.
    ``deadline_s`` is its own, where the session's is too short: for what has to start a program first.
    """

    name: str
    read: Callable[..., Awaitable[Any]]
    source: Callable[[Environment], str]
    needs: str
    after: tuple[str, ...] = ()
    deadline_s: float = 0.0


class Session:
    """Takes readings concurrently and remembers them. Use as an async context manager."""

    def __init__(
        self,
        system: System,
        environment: Environment,
        readers: Mapping[str, Reader],
        *,
        deadline_s: float = READING_DEADLINE_S,
        on_reading: Callable[[Reading], None] | None = None,
    ) -> None:
        self.system = system
        self.environment = environment
        self.deadline_s = deadline_s
        self.http = Http(timeout_s=deadline_s, ca_file=environment.ca_file, tokens=environment.tokens)
        self._redactor = Redactor(known_secrets(environment))
        self._readers = readers
        self._on_reading = on_reading
        self._tasks: dict[str, asyncio.Task[Reading]] = {}
        self._shared: dict[object, asyncio.Task[Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = [task for task in (*self._tasks.values(), *self._shared.values()) if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in self._shared.values():
            if not task.cancelled():
                task.exception()  # whoever awaited it has reported it
        await self.http.close()

    async def take(self, names: Iterable[str], *, within_s: float = RUN_DEADLINE_S) -> dict[str, Reading]:
        """The readings of these names and of what they need; those not done ``within_s`` are timeouts."""
        wanted = sorted(set(names))
        for name in wanted:
            self._start(name)
        if self._tasks:
            await asyncio.wait([self._tasks[name] for name in wanted], timeout=within_s)
        return {name: self._result(name, task, within_s) for name, task in sorted(self._tasks.items())}

    async def shared(self, key: object, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """One request that several readings stand on, made once."""
        if key not in self._shared:
            self._shared[key] = asyncio.create_task(make())
        # Shielded: a reading that runs out of time must not take the others' request with it.
        result: T = await asyncio.shield(self._shared[key])
        return result

    def _start(self, name: str) -> asyncio.Task[Reading]:
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._take(self._readers[name]), name=name)
        return self._tasks[name]

    def _result(self, name: str, task: asyncio.Task[Reading], within_s: float) -> Reading:
        if task.done():
            return task.result()
        source = self._redactor.text(self._readers[name].source(self.environment))
        failure = Failure(FailureKind.TIMEOUT, f"{source} was not read within the run's {within_s:g} s")
        return Reading(name=name, source=source, at=time.time(), took_s=within_s, failure=failure)

    async def _take(self, reader: Reader) -> Reading:
        source = reader.source(self.environment)
        if not source:
            label = f"{self.system.name}/{self.environment.name}"
            missing = Failure(FailureKind.UNDECLARED, f"{label} declares no {reader.needs}")
            return Reading(name=reader.name, source="", at=time.time(), took_s=0.0, failure=missing)
        needed = [await asyncio.shield(self._start(name)) for name in reader.after]
        began_at, began = time.time(), time.perf_counter()
        value, failure = None, _of_needed(needed)
        # Half again as long as their turns: those of a crowd that fail are then told one by one.
        turns_s = 1.5 * sum(_turns_s(reading.value) for reading in needed)
        deadline_s = max(reader.deadline_s, self.deadline_s) + turns_s
        if failure is None:
            try:
                async with asyncio.timeout(deadline_s):
                    value = await reader.read(self, *(reading.value for reading in needed))
            except Exception as error:  # typed, or raised again: nothing is swallowed
                failure = explain(error, source, round(deadline_s, 1))
                if failure is None:
                    raise
        reading = Reading(
            name=reader.name,
            source=self._redactor.text(source),
            at=round(began_at, 3),
            took_s=round(time.perf_counter() - began, 4),
            value=self._redactor.value(value),
            failure=failure and Failure(failure.kind, self._redactor.text(failure.message)),
        )
        if self._on_reading is not None:
            self._on_reading(reading)
        return reading


def _turns_s(value: Any) -> float:
    """How long the last of so many may wait for its turn."""
    return max(0, len(value) - FEW) * TURN_S if isinstance(value, list | dict) else 0.0


def _of_needed(needed: list[Reading]) -> Failure | None:
    for reading in needed:
        if reading.failure is not None:
            return reading.failure
    return None


async def each(keys: Mapping[str, T], read: Callable[[T], Awaitable[Any]], deadline_s: float) -> dict[str, Any]:
    """The same reading of several replicas at once: name -> value, or ``{"failure": {...}}`` for one that failed.

    Each replica has the whole deadline (less a little, so that one that hangs does not hide the others), and those of a
    crowd their turn's time besides: a thousand are not all asked at once.
    """
    turns_s = _turns_s(keys)

    async def one(target: T) -> Any:
        try:
            async with asyncio.timeout(deadline_s * 0.9 + turns_s):
                return await read(target)
        except Exception as error:
            where = f"{target[0]}:{target[1]}" if isinstance(target, tuple) else str(target)
            failure = explain(error, where, deadline_s * 0.9)
            if failure is None:
                raise
            return {"failure": {"kind": failure.kind.value, "message": failure.message}}

    if not keys:
        raise ReadError(FailureKind.EMPTY, "there is no replica to read")
    values = await asyncio.gather(*(one(target) for target in keys.values()))
    return dict(zip(keys, values, strict=True))
