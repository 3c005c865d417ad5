"""One program in its own session: started, watched through a pidfd, ended with all that it started.

All is its control group where there is one; without, its process group, which a program can leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from lab.cgroups import Group

_SAME_TIME_S = 1.5  # as seen by two readers: boot time may be corrected between them
UNKNOWN_EXIT = 137


class Child(Protocol):
    """A program that we have started, as :class:`subprocess.Popen` has it."""

    pid: int
    returncode: int | None

    def wait(self) -> int:
        """The exit code, -N after signal N."""


class Process:
    """A running program; make it with :func:`spawn` or :func:`adopt`, await :meth:`wait` for its exit code.

    ``group`` is its own control group. A guest in another's group leaves to that what it has started.
    """

    def __init__(
        self,
        pid: int,
        create_time: float,
        popen: Child | None,
        *,
        group: Group | None = None,
        guest: bool = False,
    ) -> None:
        self.pid = pid
        self.create_time = create_time
        self.group = group
        self._guest = guest
        self.out_of_memory = False
        self.lodgers: set[int] = set()  # pids of other programs whose memory counts as its own
        self._popen = popen
        loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(pid)
        loop.add_reader(self._pidfd, self._ended)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        if not self._guest:
            # The leader is a zombie until it is reaped, so its group's id cannot belong to anybody else yet.
            self.signal(signal.SIGKILL)
        code = UNKNOWN_EXIT if self._popen is None else self._popen.wait()
        if not self._exit.done():
            self._exit.set_result(code if code >= 0 else 128 - code)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._exit.done()

    async def wait(self) -> int:
        """The exit code, 128 + N after signal N; 137 for an adopted process, whose code nobody can know."""
        return await asyncio.shield(self._exit)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group; one that is gone is no error. SIGKILL reaches the control group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
        if number == signal.SIGKILL and self.group is not None:
            self.group.kill()

    async def clear(self) -> None:
        """Wait until nothing of an ended program is left, and remove its control group."""
        if self.group is not None:
            await self.group.end()

    async def stop(self, grace_s: float) -> int:
        """SIGTERM, then after ``grace_s`` SIGKILL, to the whole group; returns the exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace_s):
                    return await self.wait()
            except TimeoutError:
                self.signal(signal.SIGKILL)
        return await self.wait()

    def family(self) -> list[int]:
        """The pids of the program, its descendants and its lodgers."""
        return [pid for head in (self.pid, *self.lodgers) for pid in _family(head)]

    def resident_bytes(self) -> int:
        """Memory of the program, its descendants and its lodgers; 0 when all are gone."""
        return sum(_resident(pid) for pid in (self.pid, *self.lodgers))

    def forget(self) -> None:
        """Stop watching and leave it running, as a kubelet's end leaves its containers running."""
        if self.running:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._exit.cancel()
            if self._popen is not None:
                self._popen.returncode = 0  # it is not ours to wait for any longer


def spawn(argv: Sequence[str], env: Mapping[str, str], folder: Path, log: int, group: Group | None = None) -> Process:
    """Start ``argv`` in a new session with its output appended to ``log``. Raises OSError when it cannot run."""
    popen = started(argv, env, folder, group, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return watched(popen, group=group)


def started(
    argv: Sequence[str],
    env: Mapping[str, str],
    folder: Path,
    group: Group | None,
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    first: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` in a new session and in ``group``; ``first`` runs in the new process. Raises OSError."""
    with contextlib.nullcontext() if group is None else group.door() as enter:

        def prepare() -> None:
            for step in (enter, first):
                if step is not None:
                    step()

        try:
            return subprocess.Popen(
                argv,
                env=dict(env),
                cwd=folder,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                # Forked, not vforked: only where it is needed. It writes to open files and takes no lock.
                preexec_fn=prepare if enter or first else None,  # noqa: PLW1509
            )
        except subprocess.SubprocessError as error:  # prepare failed: the group is gone
            raise OSError(str(error)) from None


def watched(popen: Child, *, group: Group | None = None, guest: bool = False) -> Process:
    """A process of ours that was just started. Raises OSError when it has vanished."""
    try:
        return Process(popen.pid, psutil.Process(popen.pid).create_time(), popen, group=group, guest=guest)
    except psutil.NoSuchProcess:  # pragma: no cover  # a child of ours stays at least a zombie
        raise OSError(f"process {popen.pid} vanished at its start") from None


def adopt(pid: int, create_time: float) -> Process | None:
    """Take over a process that an earlier agent started; None unless it is the same one and runs."""
    try:
        known = psutil.Process(pid)
        same = abs(known.create_time() - create_time) < _SAME_TIME_S
        if same and known.status() != psutil.STATUS_ZOMBIE:
            return Process(pid, create_time, None)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None
    return None


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_bytes().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in _family(int(child)))]


def _resident(pid: int) -> int:
    pages = 0
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_bytes().split()
    except (OSError, IndexError):
        return pages * os.sysconf("SC_PAGE_SIZE")
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(int(child)) for child in children)
