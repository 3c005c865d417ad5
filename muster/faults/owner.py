"""Whether the process that opened a fault is alive: then it, and nobody else, knows what the fault is for."""

from __future__ import annotations

import psutil

SAME_S = 2.0  # a process' beginning is counted from the boot, whose instant moves with the clock


def began(pid: int) -> float | None:
    """When this process began, in seconds since the epoch; None where it is gone, or only waits to be reaped."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def lives(pid: int, since: float) -> bool:
    """Whether the process of this number that began then is alive; another one may have got its number."""
    found = began(pid) if pid > 0 else None
    return found is not None and abs(found - since) < SAME_S
