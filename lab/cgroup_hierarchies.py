"""Which hierarchies of control groups are mounted here, of either version, and where in them we may make folders.

Read from /proc (https://man7.org/linux/man-pages/man7/cgroups.7.html). It is an offer: :mod:`lab.cgroups` tries it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_CONTROLLERS = frozenset({"memory", "cpu", "cpuacct"})


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy: which controllers it has for us, and where the lab's folder goes."""

    version: int
    controllers: frozenset[str]
    base: Path


def hierarchies() -> list[Hierarchy]:
    """Where folders might be made: the hierarchies of version 1 with our controllers, else that of version 2."""
    own: dict[str, str] = {}
    for line in _lines("/proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), path)
    first, second = [], []
    for line in _lines("/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        (root, mount), (kind, _, options) = left.split()[3:5], right.split()[:3]
        if kind == "cgroup" and (offered := _CONTROLLERS & set(options.split(","))):
            first.append(Hierarchy(1, frozenset(offered), _within(Path(mount), root, own.get(min(offered), "/"))))
        elif kind == "cgroup2":
            here = _within(Path(mount), root, own.get("", "/"))
            second += [_second(base) for base in dict.fromkeys((here.parent, Path(mount))) if base >= Path(mount)]
    usable = sorted(first, key=lambda each: "memory" not in each.controllers)
    usable = usable or sorted(second, key=lambda each: len(each.controllers), reverse=True)[:1]
    return [each for each in usable if os.access(each.base, os.W_OK)]


def _second(base: Path) -> Hierarchy:
    offered = set(" ".join(_lines(str(base / "cgroup.controllers"))).split())
    return Hierarchy(2, frozenset({"memory", "cpu"} & offered), base)


def _within(mount: Path, root: str, own: str) -> Path:
    """Our own group as seen below a mount point; the mount point itself when we are not to be seen there."""
    below = own.removeprefix(root if root != "/" else "").lstrip("/")
    return mount / below if (mount / below).is_dir() else mount


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
