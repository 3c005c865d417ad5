"""Commands of the environment's, and whether one still runs though whoever began it was killed.

A file is locked and handed down to the command: the kernel lets go of the lock when the last process that inherited it
has ended, however that ended. So no pid is guessed at, and there is no instant between its beginning and a note of it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from muster.errors import MusterError
from muster.wait import wait_until

LIMIT_S = 60.0


class CommandError(MusterError):
    """A command that the environment names failed."""


def run(argv: Sequence[str], *, seen_by: Path | None = None) -> None:
    """Run a command, at most :data:`LIMIT_S`; ``muster`` is this very one. Raises :class:`CommandError`: its last line.

    Through the file ``seen_by`` others see that it runs (:func:`await_end`), and a second one is refused meanwhile.
    """
    said = " ".join(argv)
    if seen_by is None:
        _run(argv, said, ())
        return
    with _locked(seen_by, said) as handle:
        _run(argv, said, (handle,))


def await_end(seen_by: Path) -> None:
    """Wait until no command runs that is seen by this file. Raises :class:`~muster.wait.TimedOut`."""
    wait_until(
        lambda: _free(seen_by),
        bool,
        what="a command that a drill had begun did not end",
        timeout_s=LIMIT_S,
        show=lambda _: f"it still runs (fuser {seen_by} names it), and what it does cannot be undone before",
    )


def _run(argv: Sequence[str], said: str, handed_down: tuple[int, ...]) -> None:
    words = [sys.executable, "-m", "muster", *argv[1:]] if argv[0] == "muster" else list(argv)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=handed_down,
            timeout=LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandError(f"{said} could not be run: {error}") from error
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise CommandError(f"{said} ended with exit code {done.returncode}: {lines[-1]}")


@contextmanager
def _locked(file: Path, said: str) -> Iterator[int]:
    """The locked file's descriptor. It is closed and never unlocked: what inherited it may still run."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"{said} was not run: {file} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    except BlockingIOError:
        raise CommandError(f"{said} was not run: one that was begun before still runs (fuser {file})") from None
    finally:
        os.close(handle)


def _free(file: Path) -> bool:
    try:
        handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # none was ever begun
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
