"""The lab's daemon: ``python -m lab.daemon --state DIR --channel FD``, started by :func:`lab.daemon.up`.

While the lab boots, the daemon and whoever started it share a channel: progress goes one way, and when the other end
closes (Ctrl-C, SIGTERM, SIGKILL of the starter) before the lab is up, the daemon takes everything down again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.daemon import control, discovery, records, sweep
from lab.daemon.boot import boot, configure
from lab.daemon.components import components
from lab.daemon.folder import Folder, read_json, write_private
from lab.daemon.supervisor import Supervisor
from lab.daemon.world import World
from lab.errors import LabError


class Daemon:
    """One lab's life: boot, serve commands, end."""

    def __init__(self, folder: Folder, channel: socket.socket) -> None:
        self._folder = folder
        self._channel = channel
        self._leave = asyncio.Event()

    async def run(self) -> None:
        """Live until SIGTERM, or until the boot fails."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave.set)
        reader, writer = await asyncio.open_connection(sock=self._channel)
        asked = await reader.readline()
        if not asked:
            return
        plan = {str(key): str(value) for key, value in (read_json(self._folder.plan) or {}).items()}
        async with World(self._folder, plan) as world:
            outcome = await self._live(plan, json.loads(asked)["responder"], world, reader, writer)
        if outcome:
            _say(writer, error=outcome)
        writer.close()

    async def _live(
        self,
        plan: dict[str, str],
        responder: list[str] | None,
        world: World,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> str:
        """From the first process to the last; returns the sentence of a failed boot, "" after a full life."""
        supervisor: Supervisor | None = None
        server: asyncio.Server | None = None
        follower: asyncio.Task[None] | None = None
        reloader: asyncio.Task[None] | None = None
        try:
            if not configure(self._folder, plan):
                follower = asyncio.create_task(discovery.follow(world.client, discovery.targets_file(self._folder)))
            supervisor = Supervisor(self._folder, components(self._folder, plan, responder, world))
            server = await control.serve(self._folder.control_socket, Commands(supervisor, world))
            if failure := await self._boot(plan, supervisor, world, reader, writer):
                return failure
            write_private(self._folder.endpoints, json.dumps(plan, indent=2) + "\n")
            _say(writer, up="yes")
            from lab.daemon import reloading

            reloader = asyncio.create_task(reloading.follow(self._folder, plan))
            await self._leave.wait()
        except (LabError, OSError) as error:
            return str(error)
        else:
            return ""
        finally:
            self._folder.endpoints.unlink(missing_ok=True)
            if server is not None:
                server.close()
            for task in (follower, reloader):
                if task is not None:
                    task.cancel()
            if supervisor is not None:
                await supervisor.stop_all()
            await asyncio.to_thread(sweep.sweep, self._folder)

    async def _boot(
        self,
        plan: dict[str, str],
        supervisor: Supervisor,
        world: World,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> str:
        """Race the boot against everything that ends it; "" when the lab is up."""
        work = asyncio.create_task(boot(plan, supervisor, world, lambda text: _say(writer, progress=text)))
        ends: dict[asyncio.Task[Any], Callable[[], str]] = {
            asyncio.create_task(supervisor.failed.wait()): supervisor.failure,
            asyncio.create_task(reader.read()): lambda: "whoever was starting the lab went away",
            asyncio.create_task(self._leave.wait()): lambda: "the lab was taken down while it was starting",
        }
        done, pending = await asyncio.wait({work, *ends}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for end, sentence in ends.items():
            if end in done:
                return sentence()
        return _sentence(work.exception())


class Commands:
    """What the control channel can ask for."""

    def __init__(self, supervisor: Supervisor, world: World) -> None:
        self._supervisor = supervisor
        self._world = world

    async def __call__(self, body: dict[str, Any]) -> control.Answer:
        """Carry out one request. Raises :class:`LabError`."""
        match body:
            case {"do": "status"}:
                pods, limits = await asyncio.gather(self._world.pods(), self._world.limits())
                return {"components": self._supervisor.describe(), "pods": pods, "limits": limits}
            case {"do": "stop", "component": str(name)}:
                await self._supervisor.stop(name)
            case {"do": "start", "component": str(name)}:
                await self._supervisor.start(name)
            case _:
                raise LabError(f"the lab's daemon does not know how to {body.get('do')!r}")
        return {}


def _sentence(error: BaseException | None) -> str:
    """The first sentence in a failure, however deep task groups have wrapped it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is None or isinstance(error, LabError):
        return str(error or "")
    raise error


def _say(writer: asyncio.StreamWriter, **message: str) -> None:
    if not writer.is_closing():
        writer.write(json.dumps(message).encode() + b"\n")


def main() -> None:
    """Leave the starter's session: its Ctrl-C and its end are not ours. The record is on disk before it knows of us."""
    parser = argparse.ArgumentParser(prog="lab.daemon", description="Supervises one lab; started by lab.daemon.up().")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--channel", type=int, required=True)
    options = parser.parse_args()
    folder = Folder(options.state)
    if child := os.fork():
        records.write(folder.records, control.DAEMON, child, sys.argv)
        os._exit(0)
    os.setsid()
    # All that the daemon starts inherits it: nobody interrupts a neighbour when something comes in for it. On two cores
    # under load, switching between a proxy and its replicas costs more than it brings (some per cent of the CPU).
    with contextlib.suppress(OSError):  # a sandbox may refuse it, and the lab works without
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with socket.socket(fileno=options.channel) as channel:
        channel.setblocking(False)
        asyncio.run(Daemon(folder, channel).run())


if __name__ == "__main__":
    main()
