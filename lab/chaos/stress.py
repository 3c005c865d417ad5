"""StressChaos: programs that use memory and CPU as guests of a container, so that its limits are theirs.

They live in the container's control group where there is one, end with it, and end by themselves when the agent dies:
each reads from a pipe that the agent holds open.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from lab.agent import process as processes
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.agent.container import Container
    from lab.agent.pod import Pod
    from lab.agent.process import Process
    from lab.chaos.spec import Plan

Find = Callable[[str, str], "Pod | None"]
_PROGRAM = str(Path(__file__).with_name("worker.py"))
_log = logging.getLogger(__name__)


def running(find: Find, target: str) -> tuple[Container, Process]:
    """The container of a ``namespace/pod/container`` id and its process. Raises :class:`LabError` when none runs."""
    namespace, name, wanted = target.split("/")
    pod = find(namespace, name)
    for container in pod.containers if pod else ():
        if container.name == wanted and container.process is not None:
            return container, container.process
    raise LabError(f"container {target} does not run")


class Stress:
    """The workers of all StressChaos objects, by object and target."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._workers: dict[tuple[str, str], list[Process]] = {}
        self._watching: set[asyncio.Task[None]] = set()

    def brings(self, uid: str, target: str) -> bool:
        """Whether workers of this object run for this target."""
        return (uid, target) in self._workers

    def bring(self, uid: str, plan: Plan, target: str) -> str:
        """Start the workers; returns the id of the container run. Raises :class:`LabError` when there is none."""
        container, process = running(self._find, target)
        if not self.brings(uid, target):
            workers = self._workers[uid, target] = []
            for words in _programs(plan, container.state.limit("memory")):
                worker = _start(words, container, process)
                workers.append(worker)
                task = asyncio.ensure_future(self._watch(worker, container, process, (uid, target)))
                self._watching.add(task)
                task.add_done_callback(self._watching.discard)
        return container.state.container_id

    async def lift(self, uid: str, target: str) -> None:
        """End the workers; none is no error."""
        workers = self._workers.pop((uid, target), [])
        for worker in workers:
            worker.signal(signal.SIGKILL)
        await asyncio.gather(*(worker.wait() for worker in workers))

    async def lift_all(self, uid: str) -> None:
        """The object is gone."""
        for known, target in list(self._workers):
            if known == uid:
                await self.lift(uid, target)

    async def close(self) -> None:
        """End them all."""
        for uid, target in list(self._workers):
            await self.lift(uid, target)

    async def _watch(self, worker: Process, container: Container, process: Process, key: tuple[str, str]) -> None:
        await worker.wait()
        container.guests.discard(worker)
        process.lodgers.discard(worker.pid)
        if worker in self._workers.get(key, ()):  # not ended by us
            self._workers[key].remove(worker)
            group = process.group
            if process.running and group is not None and group.oom_kills():
                # A container over its limit dies as a whole, as on clusters since Kubernetes 1.28; in version 1 of
                # control groups the kernel has picked the biggest process only.
                process.out_of_memory = True
                process.signal(signal.SIGKILL)
            if not self._workers[key]:
                del self._workers[key]


def _programs(plan: Plan, limit: float | None) -> list[list[str]]:
    found = []
    if plan.memory is not None:
        whole = limit if limit is not None else psutil.virtual_memory().total
        size = plan.memory.bytes or int(whole * plan.memory.percent / 100)
        found += [["memory", str(size // plan.memory.workers)]] * plan.memory.workers
    if plan.cpu is not None:
        found += [["cpu", str(plan.cpu.load)]] * plan.cpu.workers
    return found


def _start(words: list[str], container: Container, process: Process) -> Process:
    argv = [sys.executable, "-S", "-E", _PROGRAM, *words]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    try:
        popen = processes.started(
            argv, {"PATH": os.defpath}, container.folder, process.group, stdin=pipe, stdout=nothing, stderr=nothing
        )
        worker = processes.watched(popen, guest=True)
    except OSError as error:
        raise LabError(f"the stress cannot be started: {error}") from None
    container.guests.add(worker)
    process.lodgers.add(worker.pid)
    return worker
