"""Reading the world: I/O, no opinion. Every reading of a run is taken once, at the same time as all others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from muster.errors import UsageError
from muster.read.catalogue import catalogue
from muster.read.session import READING_DEADLINE_S, RUN_DEADLINE_S, Session
from muster.read.threads import Threads
from muster.snapshot import Reading, Snapshot
from muster.system.model import Environment, System

__all__ = ["catalogue", "take", "take_async"]


def take(
    system: System,
    environment: Environment,
    names: Iterable[str],
    *,
    deadline_s: float = READING_DEADLINE_S,
    within_s: float = RUN_DEADLINE_S,
    on_reading: Callable[[Reading], None] | None = None,
) -> Snapshot:
    """The snapshot of these readings (and of what they need), taken now.

    A reading that fails is in it as its typed failure; a source that the environment does not declare is a failure of
    kind ``undeclared``. Raises :class:`~muster.errors.UsageError` for a name that is not in the catalogue.
    """
    taken: list[Snapshot] = []

    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(Threads())
        snapshot = await take_async(
            system, environment, names, deadline_s=deadline_s, within_s=within_s, on_reading=on_reading
        )
        taken.append(snapshot)  # not returned: asyncio writes out its task's result when it looks at signal handlers

    asyncio.run(run())
    return taken[0]


async def take_async(
    system: System,
    environment: Environment,
    names: Iterable[str],
    *,
    deadline_s: float = READING_DEADLINE_S,
    within_s: float = RUN_DEADLINE_S,
    on_reading: Callable[[Reading], None] | None = None,
) -> Snapshot:
    """:func:`take` for callers that have a loop already."""
    readers, wanted = catalogue(system, environment), set(names)
    if unknown := sorted(wanted - readers.keys()):
        raise UsageError(f"there is no reading {unknown[0]!r}; there are {', '.join(sorted(readers))}")
    taken_at, began = time.time(), time.perf_counter()
    async with Session(system, environment, readers, deadline_s=deadline_s, on_reading=on_reading) as session:
        readings = await session.take(wanted, within_s=within_s)
    return Snapshot(
        system=system.name,
        environment=environment.name,
        time_scale=environment.time_scale,
        taken_at=round(taken_at, 3),
        took_s=round(time.perf_counter() - began, 3),
        readings=readings,
    )
