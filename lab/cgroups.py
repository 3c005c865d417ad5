"""Control groups: one per container run under a folder that is this lab's own, where the machine lets us have them.

Limits of memory and CPU, and whoever belongs to a container (also a program that left its session), are then the
kernel's business. Version 1 (a hierarchy per controller) and version 2 (one for all) look alike from here. The lab's
folders lie within the group that its agent runs in, so whatever limits the agent limits its pods, too; only in version
2, where a group with processes may not have limited children, beside it.
https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.cgroup_hierarchies import Hierarchy, hierarchies
from lab.errors import LabError

CPU_PERIOD_US = 100_000
_SHARES, _LEAST_SHARES = 1024, 2  # of one core; version 1's unit, and its default for a group
_WEIGHT, _MOST_WEIGHT = 100, 10_000  # version 2's
_PREFIX = "muster-lab-"
_RECORD = "cgroups.json"
_END_S = 2.0
_POLL_S = 0.01


@dataclass(frozen=True)
class Group:
    """The group of one container run; ``folders`` has one entry per controller, and ``""`` when there is none."""

    version: int
    folders: dict[str, Path]

    @contextlib.contextmanager
    def door(self) -> Iterator[Callable[[], None]]:
        """A function that makes the calling process a member, to be called between fork and exec."""
        with self.doors() as doors:

            def enter() -> None:
                for each in doors:
                    os.write(each, b"0")

            yield enter

    @contextlib.contextmanager
    def doors(self) -> Iterator[list[int]]:
        """Descriptors; who writes ``0`` into each is a member."""
        doors = [os.open(folder / "cgroup.procs", os.O_WRONLY) for folder in self._distinct()]
        try:
            yield doors
        finally:
            for each in doors:
                os.close(each)

    def limit(self, memory_bytes: float | None, cpu_cores: float | None) -> None:
        """Set limits as far as there are controllers for them. Raises OSError."""
        if memory_bytes is not None and (folder := self.folders.get("memory")):
            names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
            values = dict.fromkeys(names if self.version == 1 else ("memory.max",), str(int(memory_bytes)))
            values |= {"memory.swap.max": "0", "memory.oom.group": "1"} if self.version == 2 else {}
            for name, value in values.items():
                if (folder / name).exists():  # swap is not accounted for everywhere
                    (folder / name).write_text(value)
        if cpu_cores is not None and (folder := self.folders.get("cpu")):
            quota = max(1000, round(cpu_cores * CPU_PERIOD_US))
            if self.version == 1:
                (folder / "cpu.cfs_period_us").write_text(str(CPU_PERIOD_US))
                (folder / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (folder / "cpu.max").write_text(f"{quota} {CPU_PERIOD_US}")

    def weigh(self, cpu_request_cores: float) -> None:
        """Its part of the CPU while there is not enough for all: by what it requests, in the kubelet's own numbers."""
        shares = max(_LEAST_SHARES, round(cpu_request_cores * _SHARES))
        if folder := self.folders.get("cpu"):
            # https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2254-cgroup-v2
            weight = 1 + (shares - 2) * 9999 // 262142
            _write_weight(folder, self.version, {1: shares, 2: weight}[self.version])

    def read(self, controller: str, name: str) -> dict[str, int]:
        """A file of ``key number`` lines, or of one number (under the key ``""``); empty when it is not there."""
        folder = self.folders.get(controller)
        try:
            lines = (folder / name).read_text().splitlines() if folder else []
        except OSError:
            return {}
        words = [line.split() for line in lines]
        return {pair[0] if len(pair) == 2 else "": int(pair[-1]) for pair in words if pair and pair[-1].isdigit()}

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed for their memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return self.read("memory", name).get("oom_kill", 0)

    def pids(self) -> list[int]:
        """Its members."""
        try:
            text = (next(iter(self.folders.values())) / "cgroup.procs").read_text()
        except OSError:
            return []
        return [int(word) for word in text.split() if word != "0"]  # 0: of another pid namespace

    def kill(self) -> bool:
        """SIGKILL for every member; False when there was none. Those that a member has just started may remain."""
        members = self.pids()
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(members)

    async def end(self) -> None:
        """Kill until nobody is left, then remove the folders; what cannot be removed now is left to :func:`sweep`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                while self.kill() or not self.remove():  # noqa: ASYNC110 - the kernel tells nobody
                    await asyncio.sleep(_POLL_S)

    def remove(self) -> bool:
        """Remove the folders; False when one is still in use."""
        left = [folder for folder in self._distinct() if not _removed(folder)]
        return not left

    def _distinct(self) -> set[Path]:
        return set(self.folders.values())


@dataclass
class Cgroups:
    """What this machine offers; ``make`` and ``find`` return None where it offers nothing."""

    parents: list[tuple[Hierarchy, Path]] = field(default_factory=list)

    @classmethod
    def claim(cls, state: Path) -> Cgroups:
        """Make the lab's own folders, recorded in ``state`` before they exist; believes only what a trial shows."""
        name = _PREFIX + hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]
        found = hierarchies()
        _record(state, [str(hierarchy.base / name) for hierarchy in found])
        groups = cls([(each, each.base / name) for each in found if _prepared(each, each.base / name)])
        groups.parents = [pair for pair in groups.parents if _admits(cls([pair]))]
        return groups

    def version(self, controller: str) -> int:
        """The version under which a controller is at hand, 0 for none."""
        return next((each.version for each, _ in self.parents if controller in each.controllers), 0)

    def holders(self) -> dict[str, str]:
        """Who holds the limits of containers, as annotations of the node."""
        memory, cpu = (self.version(name) for name in ("memory", "cpu"))
        return {
            "lab/memory-limits": f"cgroup v{memory}" if memory else "watched by the agent",
            "lab/cpu-limits": f"cgroup v{cpu}" if cpu else "not held",
        }

    def find(self, name: str) -> Group | None:
        """The group of that name."""
        group = self._group(name)
        return group if group and all(folder.is_dir() for folder in group.folders.values()) else None

    def make(
        self, name: str, memory_bytes: float | None, cpu_cores: float | None, *, cpu_request_cores: float = 0.0
    ) -> Group | None:
        """A new, empty group with its limits and its weight. Raises OSError when the kernel refuses one."""
        group = self._group(name)
        if group is not None:
            for folder in set(group.folders.values()):
                folder.mkdir(exist_ok=True)
            group.limit(memory_bytes, cpu_cores)
            group.weigh(cpu_request_cores)
        return group

    def names(self) -> set[str]:
        """The groups there are."""
        return {child.name for _, parent in self.parents for child in parent.iterdir() if child.is_dir()}

    def _group(self, name: str) -> Group | None:
        folders = {key: parent / name for each, parent in self.parents for key in sorted(each.controllers) or [""]}
        return Group(self.parents[0][0].version, folders) if folders else None


def _prepared(hierarchy: Hierarchy, parent: Path) -> bool:
    """Make the lab's folder in one hierarchy; False when the kernel does not let us."""
    try:
        if hierarchy.version == 2 and hierarchy.controllers:
            wanted = " ".join(f"+{name}" for name in sorted(hierarchy.controllers))
            if set(hierarchy.controllers) - set((hierarchy.base / "cgroup.subtree_control").read_text().split()):
                (hierarchy.base / "cgroup.subtree_control").write_text(wanted)
            parent.mkdir(exist_ok=True)
            (parent / "cgroup.subtree_control").write_text(wanted)
        parent.mkdir(exist_ok=True)
        if "cpu" in hierarchy.controllers:
            # All pods together weigh as the whole node, as kubepods does: by default they would weigh as one program.
            cores = os.cpu_count() or 1
            weight = {1: _SHARES * cores, 2: min(_MOST_WEIGHT, _WEIGHT * cores)}[hierarchy.version]
            _write_weight(parent, hierarchy.version, weight)
    except OSError:
        _removed(parent)
        return False
    return True


def _write_weight(folder: Path, version: int, weight: int) -> None:
    file = folder / {1: "cpu.shares", 2: "cpu.weight"}[version]
    with contextlib.suppress(OSError):  # a machine that refuses weights still has limits
        file.write_text(str(weight))


def _admits(groups: Cgroups) -> bool:
    """Whether a program really can be started within a limited group."""
    group: Group | None = None
    try:
        group = groups.make("trial", 64 * 2**20, 1.0)
        if group is None:
            return False
        with group.door() as enter:
            subprocess.run(["true"], preexec_fn=enter, check=True)  # writes to open files and takes no lock
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        if group is not None:
            group.remove()
    return True


def _record(state: Path, folders: list[str]) -> None:
    path = state / _RECORD
    known = _recorded(path)
    if set(folders) - set(known):
        half = path.with_suffix(".new")
        half.write_text(json.dumps(sorted({*known, *folders})))
        half.replace(path)


def _recorded(path: Path) -> list[str]:
    try:
        return [str(each) for each in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError):
        return []


def sweep(state: Path) -> None:
    """Kill whoever is still in the groups that a lab's record names, and remove them.

    Raises :class:`LabError` when one cannot be removed.
    """
    record = state / _RECORD
    deadline = time.monotonic() + _END_S
    for parent in map(Path, _recorded(record)):
        if not parent.name.startswith(_PREFIX) or not parent.is_dir():
            continue
        over = False
        while not _swept(parent):
            if over:
                raise LabError(f"the control group {parent} cannot be removed")
            over = time.monotonic() > deadline  # one more look: it may be we who stood still
            time.sleep(_POLL_S)
    record.unlink(missing_ok=True)


def _swept(parent: Path) -> bool:
    for folder in [*(child for child in parent.iterdir() if child.is_dir()), parent]:
        Group(0, {"": folder}).kill()
        _removed(folder)
    return not parent.exists()


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
