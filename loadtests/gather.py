"""Seconds of all processes, merged, as one JSON line each.

A line is the parts of that second added up (see ``recorder``), with ``workers`` (how many processes there should be)
and ``reports`` (how many told), ``cpu``, ``machine`` and ``lag_ms`` of the worst, ``requests``, ``errors``, the exact
``p50_ms``, ``p95_ms`` and ``p99_ms`` (None without requests; from the intended time) and ``service_p95_ms``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from histograms import histogram, merged, percentiles_ms

HOLD_S = 5.0  # for parts of other processes, which report every second
SUMMED = ("offered", "sent", "late", "dropped", "held", "held_dropped", "waiting", "users", "exhausted")
WORST = ("cpu", "machine", "lag_ms", "stalled_ms")


def merge(at: int, parts: Iterable[dict[str, Any]], workers: int, ended: int = 0) -> tuple[dict[str, Any], Any, Any]:
    """One line, and the histograms of all latencies and of all service times in it.

    ``ended``: processes that had nothing more to tell, having sent their share.
    """
    parts = list(parts)
    endpoints: dict[str, dict[str, Any]] = {}
    for part in parts:
        for name, told in part["endpoints"].items():
            endpoints[name] = _added(endpoints[name], told) if name in endpoints else told
    latency, service = (merged(told[key] for told in endpoints.values()) for key in ("latency", "service"))
    p50_ms, p95_ms, p99_ms = percentiles_ms(latency, (50, 95, 99))
    line = {
        "at": at,
        **{key: sum(part[key] for part in parts) for key in SUMMED},
        **{key: max((part[key] for part in parts), default=0.0) for key in WORST},
        "workers": workers,
        "reports": len(parts) + ended,
        "requests": sum(told["requests"] for told in endpoints.values()),
        "errors": sum(told["errors"] for told in endpoints.values()),
        "p50_ms": p50_ms,
        "p95_ms": p95_ms,
        "p99_ms": p99_ms,
        "service_p95_ms": percentiles_ms(service, (95,))[0],
        "endpoints": endpoints,
    }
    return line, latency, service


def _added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    kinds = dict(one["kinds"])
    for kind, count in other["kinds"].items():
        kinds[kind] = kinds.get(kind, 0) + count
    return {
        "requests": one["requests"] + other["requests"],
        "errors": one["errors"] + other["errors"],
        "kinds": kinds,
        **{key: merged((one[key], other[key])).encode().decode() for key in ("latency", "service")},
    }


class Lines:
    """Collects parts and writes a line as soon as every process has told, or ``HOLD_S`` after the second's end."""

    def __init__(self, file: IO[str] | None, workers: int = 1) -> None:
        self.workers = workers
        self.latency, self.service = histogram(), histogram()  # of the whole run
        self._file = file
        self._parts: dict[int, dict[str, dict[str, Any]]] = {}  # second -> process -> part
        self._ended: set[str] = set()
        self._written = 0

    @classmethod
    def to(cls, path: str, workers: int = 1) -> Lines:
        """Append to a file, line by line; with an empty path only the sums are kept."""
        return cls(Path(path).open("a", encoding="utf-8", buffering=1) if path else None, workers)

    def add(self, process: str, part: dict[str, Any]) -> None:
        """One process's second. What comes after its line was written is left out, and missing in ``reports``."""
        if part["at"] > self._written:
            self._parts.setdefault(part["at"], {})[process] = part

    def end(self, process: str) -> None:
        """It has sent its share and told everything: others may go on for a second, and nobody is lost."""
        self._ended.add(process)

    def write(self, *, everything: bool = False) -> None:
        """Write what is complete, or too old to wait for."""
        for at in sorted(self._parts):
            parts = self._parts[at]
            ended = len(self._ended - parts.keys())
            if not everything and len(parts) + ended < self.workers and time.time() < at + 1 + HOLD_S:
                return
            del self._parts[at]
            self._written = at
            line, latency, service = merge(at, parts.values(), self.workers, ended)
            self.latency.add(latency)
            self.service.add(service)
            if self._file is not None:
                self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
