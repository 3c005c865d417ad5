"""Faults end by themselves: each has a watchdog of its own that heals it when its time is over.

The watchdog is a process that belongs to nobody (see ``watchdog.py``), so it outlives a drill that was killed. Where a
fault is an object that ends by its own ``duration`` (Chaos Mesh), the cluster does that even when this machine is gone,
and the watchdog then only closes the record.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from muster.errors import MusterError
from muster.faults.ledger import Entry, Ledger

_PROGRAM = Path(__file__).with_name("watchdog.py")
_START_S = 10.0


class UnwatchedError(MusterError):
    """The watchdog could not be started, so the fault must not be injected."""


def watch(ledger: Ledger, entry: Entry) -> None:
    """Start the watchdog of an open entry; returns once it watches. Raises :class:`UnwatchedError`."""
    record = ledger.file_of(entry).absolute()
    heal = [sys.executable, "-m", "muster", "heal", "--only", entry.id]
    heal += ["--system", entry.system, "--env", entry.environment]
    argv = [sys.executable, "-I", str(_PROGRAM), str(record), repr(entry.expires_at), *heal]
    environ = {**os.environ, "MUSTER_STATE": str(record.parent.parent)}
    nothing = subprocess.DEVNULL
    try:
        subprocess.run(  # its first process ends at once and leaves a second one that is nobody's child
            argv, stdin=nothing, stdout=nothing, stderr=nothing, env=environ, timeout=_START_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnwatchedError(f"the watchdog that would end fault {entry.id} cannot be started: {error}") from error
