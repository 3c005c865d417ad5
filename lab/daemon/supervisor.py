"""Starts, watches and ends the lab's components.

A component that ends by itself is not restarted: it is shown as failed. A lab that hides crashes lies.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.daemon import records
from lab.daemon.conditions import Condition, at_once, until
from lab.daemon.folder import Folder
from lab.errors import LabError

START_TIMEOUT_S = 20.0
_TAIL_BYTES = 8192


@dataclass(frozen=True, kw_only=True)
class Component:
    """One process of the lab: what to run, and how to see that it does its work."""

    name: str
    argv: tuple[str, ...]
    ready: Condition = at_once
    env: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 1.5  # between SIGTERM and SIGKILL


class Child:
    """A component and its process, if it has one."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.state = "stopped"  # stopped | starting | running | failed
        self.since = time.time()
        self.exit_code: int | None = None
        self.process: asyncio.subprocess.Process | None = None
        self.watcher: asyncio.Task[None] | None = None
        self.changing = asyncio.Lock()

    def become(self, state: str) -> None:
        """Enter a state now."""
        self.state, self.since = state, time.time()


class Supervisor:
    """The components by name. ``failed`` is set as soon as one ends that nobody stopped."""

    def __init__(self, folder: Folder, components: Iterable[Component]) -> None:
        self._folder = folder
        self._children = {component.name: Child(component) for component in components}
        self.failed = asyncio.Event()

    @property
    def names(self) -> list[str]:
        """The components' names, in the order they were given."""
        return list(self._children)

    def describe(self) -> list[dict[str, Any]]:
        """Name, state, pid, since (epoch), exit_code and message of each component."""
        return [
            {
                "name": name,
                "state": child.state,
                "pid": child.process.pid if child.process and child.state in {"starting", "running"} else None,
                "since": child.since,
                "exit_code": child.exit_code,
                "message": self._epitaph(child) if child.state == "failed" else "",
            }
            for name, child in self._children.items()
        ]

    def failure(self) -> str:
        """One sentence on the first component that failed; "" when none has."""
        gone = [child for child in self._children.values() if child.state == "failed"]
        return self._epitaph(min(gone, key=lambda child: child.since)) if gone else ""

    async def start(self, name: str, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start it and wait until it is ready; nothing happens when it runs. Raises :class:`LabError`."""
        child = self._child(name)
        async with child.changing:
            if child.state == "running":
                return
            watcher = await self._spawn(child)
            try:
                await self._ready(child, watcher, timeout_s)
            except LabError:
                if child.state == "starting":  # alive but not ready: it would be in the way of the next start
                    await self.stop(name)
                raise
            child.become("running")

    async def _ready(self, child: Child, watcher: asyncio.Task[None], timeout_s: float) -> None:
        """Wait for its condition or its end, whichever comes first. Raises :class:`LabError` unless it is ready."""
        name = child.component.name
        ready = asyncio.create_task(until(child.component.ready, name, timeout_s))
        try:
            await asyncio.wait({ready, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if watcher.done():
                stopped = child.state == "stopped"
                raise LabError(f"{name} was stopped while it was starting" if stopped else self._epitaph(child))
            ready.result()
        finally:
            ready.cancel()

    async def stop(self, name: str) -> None:
        """SIGTERM, then SIGKILL; returns when it has ended. A failed one becomes stopped."""
        child = self._child(name)
        process, watcher = child.process, child.watcher
        if process is None or watcher is None or watcher.done():
            if child.state == "failed":
                child.become("stopped")
            return
        child.become("stopped")
        _signal(process, "terminate")
        done, _ = await asyncio.wait({watcher}, timeout=child.component.grace_s)
        if not done:
            _signal(process, "kill")
            await watcher

    async def stop_all(self) -> None:
        """End everything, at once."""
        await asyncio.gather(*(self.stop(name) for name in self._children))

    def _child(self, name: str) -> Child:
        if name not in self._children:
            raise LabError(f"the lab has no component {name!r}; it has {', '.join(self._children)}")
        return self._children[name]

    async def _spawn(self, child: Child) -> asyncio.Task[None]:
        component = child.component
        child.exit_code = None
        try:
            with self._folder.log(component.name).open("ab") as log:
                child.process = await asyncio.create_subprocess_exec(
                    *component.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **component.env},
                )
        except OSError as error:
            child.become("failed")
            raise LabError(f"{component.name} cannot be started ({component.argv[0]}): {error.strerror}") from None
        child.become("starting")
        records.write(self._folder.records, component.name, child.process.pid, component.argv)
        child.watcher = asyncio.create_task(self._watch(child, child.process))
        return child.watcher

    async def _watch(self, child: Child, process: asyncio.subprocess.Process) -> None:
        child.exit_code = await process.wait()
        records.erase(self._folder.records, child.component.name)
        if child.state != "stopped":
            child.become("failed")
            self.failed.set()

    def _epitaph(self, child: Child) -> str:
        code = child.exit_code
        how = (
            "could not be started"
            if code is None
            else f"was ended by signal {-code}"
            if code < 0
            else f"ended with exit code {code}"
        )
        last = last_words(self._folder, child.component.name)
        return f"{child.component.name} {how}" + (f": {last}" if last else "")


def last_words(folder: Folder, component: str) -> str:
    """The last line of its log that says what went wrong; the last line at all when none is marked as an error."""
    try:
        with folder.log(component).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    marked = [line for line in lines if "level=error" in line or "[ALERT]" in line]
    return (marked or lines or [""])[-1]


def _signal(process: asyncio.subprocess.Process, verb: str) -> None:
    try:
        getattr(process, verb)()
    except ProcessLookupError:
        return
