"""One drill at a time in one environment: a second would be judged on the first one's pages.

A file beside the ledger keeps those apart who share one; the kernel lets go of it when its process ends, however that
ends. A Lease in the cluster keeps machines apart that share nothing else, and names who holds it.
"""

from __future__ import annotations

import fcntl
import getpass
import logging
import os
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from muster.chaos.context import open_kube
from muster.errors import MusterError
from muster.faults import Ledger
from muster.kube import KubeError
from muster.lease import DURATION_S, Holder, Lease, LeaseHeldError, LeaseLostError
from muster.system import Environment

RENEW_S = DURATION_S / 3
RETRY_S = 1.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")

logger = logging.getLogger("chaostoolkit")


class TakenError(MusterError):
    """Another drill runs there."""


_held: set[Path] = set()  # files that this very process holds


def busy(system: str, environment: str) -> str:
    """Which other process runs a drill there with this ledger, in a word; empty: none."""
    file = lock_file(system, environment)
    if file in _held or not file.exists():
        return ""
    handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return f"process {file.read_text(encoding='utf-8') or 'unknown'}"
    finally:
        os.close(handle)
    return ""


def lock_file(system: str, environment: str) -> Path:
    """The file beside the ledger that a drill holds."""
    return Ledger().folder.parent.absolute() / f"experiment-{system}-{environment}.lock"


class Exclusive:
    """Held by one process for its drill, from ``__enter__`` on; :attr:`lost` says when it is not any more."""

    def __init__(self, system: str, env: Environment) -> None:
        self._place, self._env = f"{system}/{env.name}", env
        self._file = lock_file(system, env.name)
        self._handle = -1
        self._stack = ExitStack()
        self._lost = ""

    @property
    def lost(self) -> str:
        """Why it is not held any more although nobody let go, in a sentence; empty while all is well."""
        return self._lost

    def __enter__(self) -> Self:
        """Take it. Raises :class:`TakenError` when somebody else has it, KubeError when the cluster cannot be asked."""
        with ExitStack() as undo:
            self._lock(undo)
            if self._env.kubernetes is not None:
                self._take_lease(undo)
            self._stack = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go, any number of times."""
        self._stack.close()

    def _lock(self, undo: ExitStack) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        undo.callback(os.close, self._handle)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._file.read_text(encoding="utf-8") or "unknown"
            raise TakenError(
                f"another experiment runs on {self._place} (process {holder}); two at once prove nothing"
            ) from None
        _held.add(self._file)
        undo.callback(_held.discard, self._file)
        os.ftruncate(self._handle, 0)
        os.write(self._handle, str(os.getpid()).encode())

    def _take_lease(self, undo: ExitStack) -> None:
        assert self._env.kubernetes is not None  # noqa: S101 - asked by the caller
        source = self._env.kubernetes
        kube = undo.enter_context(open_kube(self._env))
        name = f"muster-drill-{source.deployment}"
        note = self._note()
        lease = Lease(kube, source.namespace, name, me=_me(), note=note)
        holder = lease.holder()
        # Who wrote our note held our file; now we hold it, so that process is dead and need not be waited for.
        dead = holder if holder is not None and note and holder.note == note else None
        if holder is not None and dead is None:
            raise TakenError(self._taken(holder, name))
        try:
            lease.take(instead_of=dead)
        except LeaseHeldError as error:
            raise TakenError(f"another experiment begins on {self._place}: {error}") from error
        undo.callback(_let_go, lease)
        stopping = threading.Event()
        thread = threading.Thread(target=self._renew, args=(lease, stopping), name="lease", daemon=True)
        thread.start()
        undo.callback(thread.join)
        undo.callback(stopping.set)

    def _taken(self, holder: Holder, name: str) -> str:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(holder.since))
        return (
            f"another experiment runs on {self._place}: {holder.name}, since {since} (Lease {name}, free "
            f"{DURATION_S} s after its holder's last sign of life); two at once prove nothing"
        )

    def _note(self) -> str:
        """Which file on which running machine keeps others out beside the Lease; empty where that cannot be told."""
        if not _BOOT.is_file():
            return ""
        found = os.fstat(self._handle)
        return f"{_BOOT.read_text(encoding='utf-8').strip()}:{found.st_dev}:{found.st_ino}"

    def _renew(self, lease: Lease, stopping: threading.Event) -> None:
        """The thread: renew until told to stop, or until it is lost."""
        good, pause_s = time.monotonic(), RENEW_S
        while not stopping.wait(pause_s):
            began = time.monotonic()
            try:
                lease.renew()
            except LeaseLostError as error:
                self._lost = f"{error}, so this drill is not alone any more"
                return
            except MusterError as error:
                pause_s = RETRY_S
                if time.monotonic() - good > DURATION_S:
                    self._lost = f"the Lease {lease.name} could not be renewed for {DURATION_S} s: {error}"
                    return
            else:
                good, pause_s = began, RENEW_S


def _me() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (process {os.getpid()})"


def _let_go(lease: Lease) -> None:
    try:
        lease.release()
    except KubeError as error:
        logger.warning("the Lease %s could not be given back and is free in %s s: %s", lease.name, DURATION_S, error)
