"""One file per started process, so that a later command finds what a killed daemon left running.

Children could be tied to the daemon's life instead (PR_SET_PDEATHSIG), but pods are children of the node agent and must
outlive it, as containers outlive a kubelet: records are needed anyway, and one mechanism is easier to trust than two.
A killed daemon therefore leaves its world running until the next ``up`` or ``down``, which ends it by these records.
A process is ours only if its id *and* its time of creation match, so a reused id is never touched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lab.daemon.folder import read_json, write_private

# Creation times count kernel ticks from a boot time that clock corrections may move a little between two readers.
_SAME_TIME_S = 1.5
_KILL_S = 1.0  # SIGKILL takes effect within it, or never
_POLL_S = 0.01


@dataclass(frozen=True)
class Record:
    """One started process; ``create_time`` is psutil's, in seconds since the epoch."""

    name: str
    pid: int
    create_time: float
    argv: tuple[str, ...]

    def process(self) -> psutil.Process | None:
        """The process if it still runs and is the recorded one; a zombie has ended."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.create_time) < _SAME_TIME_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def write(folder: Path, name: str, pid: int, argv: Sequence[str]) -> None:
    """Record a process that was just started; one that is already gone needs no record."""
    try:
        record = Record(name, pid, psutil.Process(pid).create_time(), tuple(argv))
    except psutil.NoSuchProcess:
        return
    write_private(folder / f"{name}.json", json.dumps(asdict(record)))


def read(path: Path) -> Record | None:
    """The record in a file, or None when it does not hold one (whoever wrote it died in the act)."""
    content = read_json(path) or {}
    try:
        argv = tuple(str(word) for word in content.get("argv", ()))
        return Record(str(content["name"]), int(content["pid"]), float(content["create_time"]), argv)
    except (KeyError, TypeError, ValueError):
        return None


def read_all(folder: Path) -> list[Record]:
    """Every readable record."""
    found = (read(path) for path in sorted(folder.glob("*.json")))
    return [record for record in found if record is not None]


def erase(folder: Path, name: str) -> None:
    """Forget a process that has ended."""
    (folder / f"{name}.json").unlink(missing_ok=True)


def end(processes: Iterable[psutil.Process], grace_s: float) -> list[psutil.Process]:
    """SIGTERM these and all their descendants, after ``grace_s`` SIGKILL; returns what still runs after that."""
    family = {member.pid: member for process in processes for member in (process, *_descendants(process))}
    _signal(family.values(), "terminate")
    alive = _outlasting(family.values(), grace_s)
    _signal(alive, "kill")
    return _outlasting(alive, _KILL_S)


def _outlasting(processes: Iterable[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Those that still run when none is left or time is over.

    Not psutil's own wait: it takes a zombie for alive, and orphans may stay zombies where process 1 is no real init.
    """
    deadline = time.monotonic() + timeout_s
    while (alive := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(processes: Iterable[psutil.Process], verb: str) -> None:
    for process in processes:
        try:
            getattr(process, verb)()  # psutil compares the creation time once more before it sends
        except psutil.NoSuchProcess:
            continue
