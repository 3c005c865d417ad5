"""One file per started process, so that a later command finds what a killed daemon left running.

Children could be tied to the daemon's life instead (PR_SET_PDEATHSIG), but pods are children of the node agent and must
outlive it, as containers outlive a kubelet: records are needed anyway, and one mechanism is easier to trust than two.
A killed daemon therefore leaves its world running until the next ``up`` or ``down``, which ends it by these records.
A process is ours only if its id *and* its time of creation match, so a reused id is never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lab.daemon.folder import read_json, write_private

# Creation times count kernel ticks from a boot time that clock corrections may move a little between two readers.
_SAME_TIME_S = 1.5


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
    _, alive = psutil.wait_procs([*family.values()], timeout=grace_s)
    _signal(alive, "kill")
    _, alive = psutil.wait_procs(alive, timeout=1.0)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


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
