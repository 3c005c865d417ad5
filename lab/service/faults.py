"""What goes wrong with a release: one table of ``FAULT_*`` environment variables.

A fault is part of a release's environment and so of its image digest; rolling the release back takes it away. A name
or value that is not understood stops the replica at start: a drill whose fault does nothing would prove nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import os
import random
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from lab.service.settings import SettingsError

Fallback = Literal["", "admitted", "denied"]
Quantiles = tuple[tuple[float, float], ...]  # (share of requests, seconds), ascending
log = logging.getLogger("fault")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The faults in force; the defaults are a healthy release."""

    error_ratio: float = 0.0  # share of /api requests answered 500
    latency: Mapping[str, Quantiles] = field(default_factory=dict)  # added to requests by endpoint; "": all other /api
    never_ready: bool = False
    crash_after_s: float = 0.0
    hang_after_s: float = 0.0  # from then on nothing is answered, and SIGTERM is not heard
    memory_leak_mb_s: float = 0.0
    cpu_burn: float = 0.0  # cores
    pqc_fallback: Fallback = ""  # the mesh speaks classical x25519 only; "denied": and says that it does not
    cert_expired: bool = False  # the mesh certificate ran out before the replica started
    dependency_down: tuple[str, ...] = ()  # names of DEPENDENCIES that lead nowhere
    ignore_sigterm: bool = False
    version: str = ""  # reported instead of the image's own
    silent_metrics: tuple[str, ...] = ()  # families that vanish from /metrics; "all": every one of the service's own

    def fails(self) -> bool:
        """Whether this request is one of those that fail."""
        return self.error_ratio > 0.0 and random.random() < self.error_ratio  # noqa: S311 - not a secret

    def delay_s(self, endpoint: str = "") -> float:
        """How long this request is held back: linear between the named percentiles, flat outside them."""
        points = self.latency.get(endpoint) or self.latency.get("", ())
        if len(points) < 2:
            return points[0][1] if points else 0.0
        share = random.random()  # noqa: S311 - not a secret
        index = bisect_left(points, (share, math.inf))
        if index in (0, len(points)):
            return points[min(index, len(points) - 1)][1]
        (low, low_s), (high, high_s) = points[index - 1], points[index]
        return low_s + (high_s - low_s) * (share - low) / (high - low)


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError(text)
    return value


def _amount(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "0": False, "false": False, "": False}[text.lower()]


def _latency(text: str) -> Quantiles:
    """Parse ``"600"`` (all requests) or ``"p50:50,p95:600"``, in milliseconds."""
    if ":" not in text:
        return ((0.0, _amount(text) / 1000.0),)
    pairs = (part.strip().split(":") for part in text.split(","))
    points = tuple(sorted((_share(f"{float(name.removeprefix('p')) / 100}"), _amount(ms) / 1000) for name, ms in pairs))
    if len({share for share, _ in points}) < len(points):
        raise ValueError(text)
    return points


def _latencies(text: str) -> dict[str, Quantiles]:
    """Parse ``[ENDPOINT=]DISTRIBUTION;...``; the one without endpoint is for all that are not named."""
    found: dict[str, Quantiles] = {}
    for part in text.split(";"):
        endpoint, _, distribution = part.strip().rpartition("=")
        if endpoint in found:
            raise ValueError(text)
        found[endpoint] = _latency(distribution)
    return found


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise ValueError(text)
    return names


def _word(text: str) -> str:
    if not text or text.split() != [text]:
        raise ValueError(text)
    return text


def _fallback(text: str) -> Fallback:
    if text not in get_args(Fallback):
        raise ValueError(text)
    return text  # type: ignore[return-value]


TABLE: dict[str, tuple[str, Callable[[str], Any]]] = {
    "FAULT_ERROR_RATIO": ("error_ratio", _share),
    "FAULT_LATENCY_MS": ("latency", _latencies),
    "FAULT_NEVER_READY": ("never_ready", _flag),
    "FAULT_CRASH_AFTER_S": ("crash_after_s", _amount),
    "FAULT_HANG_AFTER_S": ("hang_after_s", _amount),
    "FAULT_MEMORY_LEAK_MB_S": ("memory_leak_mb_s", _amount),
    "FAULT_CPU_BURN": ("cpu_burn", _amount),
    "FAULT_PQC_FALLBACK": ("pqc_fallback", _fallback),
    "FAULT_CERT_EXPIRED": ("cert_expired", _flag),
    "FAULT_DEPENDENCY_DOWN": ("dependency_down", _names),
    "FAULT_IGNORE_SIGTERM": ("ignore_sigterm", _flag),
    "FAULT_VERSION": ("version", _word),
    "FAULT_SILENT_METRICS": ("silent_metrics", _names),
}


def load(environ: Mapping[str, str] = os.environ) -> Faults:
    """Read the faults of this release.

    Raises:
        SettingsError: A ``FAULT_*`` variable is unknown or its value cannot be parsed.
    """
    found: dict[str, Any] = {}
    for name in sorted(key for key in environ if key.startswith("FAULT_")):
        if name not in TABLE:
            raise SettingsError(f"{name} is not a fault of this service; known: {', '.join(TABLE)}")
        field, parse = TABLE[name]
        try:
            found[field] = parse(environ[name])
        except (ValueError, KeyError):
            raise SettingsError(f"{name}={environ[name]!r} cannot be used") from None
    return Faults(**found)


def start(faults: Faults) -> None:
    """Begin the faults that run by themselves: crash, leak and burn in threads, the hang in the running event loop."""
    if faults.hang_after_s:
        asyncio.get_running_loop().call_later(faults.hang_after_s, _hang)
    if faults.crash_after_s:
        _thread("crash", _crash, faults.crash_after_s)
    if faults.memory_leak_mb_s:
        _thread("leak", _leak, faults.memory_leak_mb_s)
    for core in range(math.ceil(faults.cpu_burn)):
        _thread(f"burn-{core}", _burn, min(1.0, faults.cpu_burn - core))


def _thread(name: str, target: Callable[[float], None], amount: float) -> None:
    threading.Thread(target=target, args=(amount,), name=name, daemon=True).start()


def _crash(after_s: float) -> None:
    time.sleep(after_s)
    log.critical("ERROR fatal: invariant violated, aborting after %.1f s", after_s)
    os._exit(1)


def _hang() -> None:
    """Hold the event loop, as a deadlock would: connections are accepted by the kernel, and nobody answers."""
    log.critical("ERROR fatal: waiting for a lock that nobody will release")
    threading.Event().wait()


def _leak(mb_per_s: float) -> None:
    """Grow the resident set evenly: pages are touched, so they count."""
    lost, started, leaked = [], time.monotonic(), 0
    while True:
        time.sleep(0.05)
        due = int((time.monotonic() - started) * mb_per_s * 1_000_000)
        lost.append(bytearray(os.urandom(1) * (due - leaked)))
        leaked = due


def _burn(duty: float) -> None:
    """Use ``duty`` of one core's time without holding the interpreter's lock, as native code would."""
    started = time.monotonic()
    while True:
        ahead_s = time.thread_time() - (time.monotonic() - started) * duty
        if ahead_s > 0:
            time.sleep(ahead_s / duty)
        hashlib.pbkdf2_hmac("sha256", b"burn", b"burn", 20_000)
