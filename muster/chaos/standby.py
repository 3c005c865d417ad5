"""The process that looks at the checks, started before it is needed: importing takes longer than looking.

``python -m muster.chaos.standby`` imports what every look needs, then reads orders from its standard input, one a line:
what pytest is to run, in which environment and folder. It forks for each, so a look begins with everything imported and
ends with nothing left over, and tells how it ended in one line. When its starter is gone, it reads the end of input
and ends.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

# Not pytest's plugin itself: pytest must see its import, and says so when it does not. The later ones are imported by
# whoever needs them at last: a look does.
_NEEDED = (
    *("pytest", "muster.system", "muster.read", "muster.judge", "muster.kube", "muster.report", "muster.rules"),
    *("muster.read.tls", "muster.report.junit", "OpenSSL.SSL", "websocket", "pdb", "unittest"),
)
_NICE = 10  # users who come from this machine must not wait for the looks at them
_LEFT_S = 20.0  # after it should have been given up, a look ends itself: whoever was to do so may only be late
_BROKEN = 3  # pytest's own exit code for a mistake that is nobody's test


class Standby:
    """Such a process. It costs half a second of one core to start, and about 60 MB; each look a fork of it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "muster.chaos.standby"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,  # its looks end with it; Ctrl-C is for whoever ordered them
        )
        assert self.process.stdin is not None  # noqa: S101 - a pipe
        os.set_blocking(self.process.stdin.fileno(), False)  # while it imports, it reads nothing
        self._ended = False

    @property
    def alive(self) -> bool:
        """Whether it can be given an order."""
        if self.process.returncode is not None:
            return False
        # not reaped: its number, which is its group's, stays its own until that is ended
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def run(self, argv: Sequence[str], environ: Mapping[str, str], *, timeout_s: float) -> tuple[int | None, str]:
        """Have pytest run there: its exit code, None when it was given up, and what it printed.

        Whatever ends this early, Ctrl-C among others, ends the process and what it runs.
        """
        asked = {
            "argv": list(argv),
            "environ": dict(environ),
            "folder": str(Path.cwd()),
            "ends_after_s": math.ceil(timeout_s + _LEFT_S),
        }
        deadline = time.monotonic() + timeout_s
        try:
            sent = _write(self.process, json.dumps(asked).encode() + b"\n", deadline)
            line = _read_line(self.process, deadline) if sent else None
        except BaseException:
            self.end()
            raise
        if line is None:
            self.end()
            return None, ""
        if not line.endswith(b"\n"):
            self.end()
            return _BROKEN, "the process that looks at the checks has died"
        told = json.loads(line)
        return int(told["code"]), str(told["output"])

    def end(self) -> None:
        """End it and its looks, and reap it; any number of times."""
        if not self._ended:  # once: later the number may be somebody else's
            self._ended = True
            with contextlib.suppress(ProcessLookupError):  # it was reaped, and no look has outlived it
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()  # closes the pipes and reaps


def _write(process: subprocess.Popen[bytes], line: bytes, deadline: float) -> bool:
    """Whether it was taken before ``deadline``; where nobody is there to take it, the end of its output says so."""
    assert process.stdin is not None  # noqa: S101 - a pipe
    left = memoryview(line)
    while left:
        if not select.select([], [process.stdin], [], max(0.0, deadline - time.monotonic()))[1]:
            return False
        try:
            left = left[os.write(process.stdin.fileno(), left) :]
        except BrokenPipeError:
            return True
    return True


def _read_line(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    """Up to the end of a line, or of the output; None when that takes longer than until ``deadline``."""
    assert process.stdout is not None  # noqa: S101 - a pipe
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return None
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            return line
        line += part
    return line


_ready: list[Standby] = []
_lock = threading.Lock()


def take() -> Standby:
    """The one that stands by, when it still does; else a new one. It is the caller's until it is given back."""
    with _lock:
        one = _ready.pop() if _ready else None
    if one is not None and one.alive:
        return one
    if one is not None:
        one.end()
    return Standby()


def give_back(one: Standby) -> None:
    """Let it stand by for the next look, if it lives and none does."""
    with _lock:
        if one.alive and not _ready:
            _ready.append(one)
            return
    one.end()


@atexit.register
def dismiss() -> None:
    """End the one that stands by."""
    with _lock:
        waiting = list(_ready)
        _ready.clear()
    for one in waiting:
        one.end()


def main() -> int:
    """Get ready, then run pytest for each order, one after another."""
    for name in _NEEDED:
        importlib.import_module(name)
    gc.freeze()  # no fork collects, and so copies, what was there before it
    while line := sys.stdin.readline():
        with tempfile.TemporaryFile() as said:
            child = os.fork()  # one thread, and nothing open but the order: it may
            if child == 0:
                _look(json.loads(line), said)
            _, status = os.waitpid(child, 0)
            said.seek(0)
            output = said.read().decode("utf-8", "replace")
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "output": output}), flush=True)
    return 0


def _look(asked: dict[str, Any], said: IO[bytes]) -> NoReturn:
    """In the fork: run pytest as ordered; it must not come back to read the next order."""
    code = _BROKEN
    signal.alarm(asked["ends_after_s"])  # whoever gives it up ends it; whoever was killed cannot
    os.nice(_NICE)
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        os.environ.clear()
        os.environ.update(asked["environ"])
        os.chdir(asked["folder"])
        import pytest

        code = int(pytest.main(asked["argv"]))
    except BaseException:  # noqa: BLE001 - said, and the exit code tells that no verdict came of it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
