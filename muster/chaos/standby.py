"""The process of a look at the checks, started before it is needed: importing takes longer than looking.

``python -m muster.chaos.standby`` imports what every look needs, then waits for one line on its standard input, which
says what pytest is to run and in which environment. When its starter is gone, it reads the end of input and ends.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

# Not pytest's plugin itself: pytest must see its import, and says so when it does not.
_NEEDED = ("pytest", "muster.system", "muster.read", "muster.judge", "muster.kube")
Process = subprocess.Popen[bytes]


def start() -> Process:
    """A process that gets ready. It costs half a second of one core, and about 60 MB until it is used."""
    return subprocess.Popen(
        [sys.executable, "-m", "muster.chaos.standby"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def order(argv: Sequence[str], environ: Mapping[str, str]) -> bytes:
    """The line that such a process waits for: pytest's arguments, the whole environment and the working folder."""
    asked = {"argv": list(argv), "environ": dict(environ), "folder": str(Path.cwd())}
    return json.dumps(asked).encode() + b"\n"


_ready: list[Process] = []
_lock = threading.Lock()


def take() -> Process:
    """The one that stands by, when it still does; else a new one. It is the caller's from now on."""
    with _lock:
        process = _ready.pop() if _ready else None
    if process is not None and process.poll() is None:
        return process
    if process is not None:
        _end(process)
    return start()


def prepare() -> None:
    """Have one stand by for the next look; nothing is done where one does."""
    with _lock:
        if not _ready:
            _ready.append(start())


@atexit.register
def dismiss() -> None:
    """End the one that stands by."""
    with _lock:
        waiting = list(_ready)
        _ready.clear()
    for process in waiting:
        _end(process)


def _end(process: Process) -> None:
    process.kill()
    process.communicate()  # closes the pipes and reaps


def main() -> int:
    """Get ready, wait, run pytest once."""
    for name in _NEEDED:
        importlib.import_module(name)
    line = sys.stdin.readline()
    if not line:
        return 0
    asked = json.loads(line)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    import pytest

    return int(pytest.main(asked["argv"]))


if __name__ == "__main__":
    sys.exit(main())
