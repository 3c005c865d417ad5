"""What a long steady load changes: memory that only grows, latency that creeps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from muster.judge.seconds import LoadRun, latency, percentile_ms
from muster.system.model import System
from muster.system.units import Unit, show
from muster.verdict import Finding, Verdict

LEAST_SAMPLES = 5
CREPT = 1.2  # P95 of the last quarter against the first's: a fifth more is more than noise over so many requests
CREPT_MS = 5.0  # and so much in milliseconds, or it is not felt


@dataclass(frozen=True, kw_only=True)
class Drift:
    """``memory_bytes_per_h``: slope of the largest replica's memory; None without enough samples.

    ``first_ms`` and ``last_ms``: P95 of the first and the last quarter of the run.
    """

    memory_bytes_per_h: float | None
    first_ms: float | None
    last_ms: float | None


def measure(run: LoadRun, memory: Sequence[tuple[float, float]]) -> Drift:
    """``memory``: (epoch seconds, bytes), those of the warm-up are left out."""
    quarter = max(1, len(run.full) // 4)
    samples = [(at, value) for at, value in memory if run.scheduled and at >= run.began + run.warm_up_s]
    return Drift(
        memory_bytes_per_h=slope(samples) * 3600 if len(samples) >= LEAST_SAMPLES else None,
        first_ms=percentile_ms(latency(run.full[:quarter]), 95),
        last_ms=percentile_ms(latency(run.full[-quarter:]), 95),
    )


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Of the line that fits best (least squares), per second; 0 when all samples are of one instant."""
    middle = sum(at for at, _ in samples) / len(samples)
    mean = sum(value for _, value in samples) / len(samples)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return sum((at - middle) * (value - mean) for at, value in samples) / spread if spread else 0.0


MEMORY, LATENCY = "load.memory-drift", "load.latency-drift"


def judge(drift: Drift, system: System) -> list[tuple[str, Finding | str]]:
    """Each check with its finding, or why it is skipped. No runbook promises either, but both end in what pages."""
    return [(MEMORY, _memory(drift, system)), (LATENCY, _latency(drift))]


def _memory(drift: Drift, system: System) -> Finding | str:
    slo = system.slo.get("memory_growth")
    if slo is None or slo.warning is None:
        return "the system states no limit of memory_growth"
    check, runbook, limit = MEMORY, slo.runbook, slo.warning
    if drift.memory_bytes_per_h is None:
        message = "how memory grew is unknown: too few samples of it were read"
        return Finding(check=check, verdict=Verdict.UNKNOWN, message=message, runbook=runbook, section="Load")
    grown = drift.memory_bytes_per_h
    message = f"memory of the largest replica changed by {_signed(grown)} an hour"
    if not limit.holds(grown):
        return Finding(check=check, verdict=Verdict.PASS, message=message, runbook=runbook, section="Load")
    message += f", over {show(limit.bound, Unit.BYTES)}"
    return Finding(check=check, verdict=Verdict.WARN, message=message, runbook=runbook, section="Load")


def _latency(drift: Drift) -> Finding:
    check = LATENCY
    first, last = drift.first_ms, drift.last_ms
    if first is None or last is None:
        message = "how latency changed is unknown: there is none of the first or of the last quarter"
        return Finding(check=check, verdict=Verdict.UNKNOWN, message=message, section="Load")
    crept = last > CREPT * first and last - first > CREPT_MS
    message = f"P95 was {first:.3g} ms in the first quarter of the run and {last:.3g} ms in the last"
    return Finding(check=check, verdict=Verdict.WARN if crept else Verdict.PASS, message=message, section="Load")


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{show(abs(value), Unit.BYTES)}"
