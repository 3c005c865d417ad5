"""The processes below one, of which any may end while they are looked at."""

from __future__ import annotations

from contextlib import suppress

import psutil


def children(word: str, pid: int | None = None) -> list[psutil.Process]:
    """Those below that process (this one) that have this word in their command line."""
    found = []
    for each in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            found += [each] * (word in each.cmdline())
    return found
