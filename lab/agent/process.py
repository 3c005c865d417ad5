"""One program in its own session: started, watched through a pidfd, ended with its whole group."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_SAME_TIME_S = 1.5  # as seen by two readers: boot time may be corrected between them
UNKNOWN_EXIT = 137


class Process:
    """A running program; make it with :func:`spawn` or :func:`adopt`, await :meth:`wait` for its exit code."""

    def __init__(self, pid: int, create_time: float, popen: subprocess.Popen[bytes] | None) -> None:
        self.pid = pid
        self.create_time = create_time
        self.out_of_memory = False
        self._popen = popen
        loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(pid)
        loop.add_reader(self._pidfd, self._ended)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
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
        """Send a signal to the whole group; one that is gone is no error."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

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

    def resident_bytes(self) -> int:
        """Memory of the program and its descendants; 0 when it is gone."""
        return _resident(self.pid)

    def forget(self) -> None:
        """Stop watching and leave it running, as a kubelet's end leaves its containers running."""
        if self.running:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._exit.cancel()
            if self._popen is not None:
                self._popen.returncode = 0  # it is not ours to wait for any longer


def spawn(argv: Sequence[str], env: Mapping[str, str], folder: Path, log: int) -> Process:
    """Start ``argv`` in a new session with its output appended to ``log``. Raises OSError when it cannot run."""
    popen = subprocess.Popen(
        argv, env=dict(env), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        return Process(popen.pid, psutil.Process(popen.pid).create_time(), popen)
    except psutil.NoSuchProcess:  # pragma: no cover  # a child of ours stays at least a zombie
        raise OSError(f"{argv[0]} vanished at its start") from None


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


def _resident(pid: int) -> int:
    pages = 0
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_bytes().split()
    except (OSError, IndexError):
        return pages * os.sysconf("SC_PAGE_SIZE")
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(int(child)) for child in children)
