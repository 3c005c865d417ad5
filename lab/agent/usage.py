"""What a container's processes use, from their control group, or from ``/proc`` where they have none."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.agent.container import Container
from lab.agent.pod import Pod
from lab.agent.process import Process
from lab.cgroups import Group

_TICKS = os.sysconf("SC_CLK_TCK")
_WINDOW_S = 1.0  # the shortest time over which a rate is taken
_SAMPLES = 16


@dataclass(frozen=True)
class Usage:
    """CPU in seconds since the start, memory in bytes. Throttling is None where nobody counts it."""

    cpu_s: float
    memory: int
    working_set: int
    rss: int
    periods: int | None = None
    throttled: int | None = None
    throttled_s: float | None = None


def running(pods: list[Pod]) -> Iterator[tuple[Pod, Container, Process]]:
    """Every container that has a process."""
    for pod in pods:
        for container in pod.all():
            if container.process is not None and container.process.running:
                yield pod, container, container.process


def of(process: Process) -> Usage:
    """What it uses now."""
    group = process.group
    cpu_s, memory = _cpu_of_group(group), _memory_of_group(group)
    if cpu_s is None:
        cpu_s = sum(_cpu_of_process(pid) for pid in process.family())
    if memory is None:
        resident = process.resident_bytes()
        memory = (resident, resident, resident)
    stat = group.read("cpu", "cpu.stat") if group else {}
    seconds = (
        stat.get("throttled_time", 0) / 1e9 if group and group.version == 1 else stat.get("throttled_usec", 0) / 1e6
    )
    counted = "nr_throttled" in stat
    return Usage(
        cpu_s, *memory, stat.get("nr_periods"), stat.get("nr_throttled"), throttled_s=seconds if counted else None
    )


def _cpu_of_group(group: Group | None) -> float | None:
    if group is None:
        return None
    if group.version == 1:
        nanoseconds = group.read("cpuacct", "cpuacct.usage").get("")
        return None if nanoseconds is None else nanoseconds / 1e9
    microseconds = group.read("cpu", "cpu.stat").get("usage_usec")
    return None if microseconds is None else microseconds / 1e6


def _memory_of_group(group: Group | None) -> tuple[int, int, int] | None:
    """In use, working set (without what could be dropped at once), and anonymous."""
    if group is None:
        return None
    first = group.version == 1
    used = group.read("memory", "memory.usage_in_bytes" if first else "memory.current").get("")
    if used is None:
        return None
    stat = group.read("memory", "memory.stat")
    idle, anonymous = ("total_inactive_file", "total_rss") if first else ("inactive_file", "anon")
    return used, max(0, used - stat.get(idle, 0)), stat.get(anonymous, 0)


def _cpu_of_process(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, words[11:15])) / _TICKS
    except (OSError, ValueError):
        return 0.0


class Meter:
    """Rates of counters that are read now and then."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[float, float]]] = {}

    def note(self, key: str, value: float) -> None:
        """A counter as it is now."""
        samples = self._samples.setdefault(key, deque(maxlen=_SAMPLES))
        if not samples or time.monotonic() - samples[-1][0] >= _WINDOW_S / 4:
            samples.append((time.monotonic(), value))

    def rate(self, key: str, value: float, age_s: float) -> float:
        """Per second, over the last second or so; over its whole life (``age_s``) when it was never read before."""
        at = time.monotonic()
        earlier = [sample for sample in self._samples.get(key, ()) if at - sample[0] >= _WINDOW_S]
        self.note(key, value)
        if earlier:
            return max(0.0, value - earlier[-1][1]) / (at - earlier[-1][0])
        return value / max(age_s, _WINDOW_S)

    def keep(self, keys: set[str]) -> None:
        """Forget all others."""
        for key in self._samples.keys() - keys:
            del self._samples[key]
