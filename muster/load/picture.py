"""Two pictures of a load run: what was offered and what became of it, second by second; how latencies are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path
from typing import Any

from muster.judge.seconds import LoadRun, LoadSecond, latency, percentile_ms, service
from muster.system import System
from muster.verdict import Verdict

OVER_TIME, SPREAD = "load.png", "latencies.png"
INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
BLUE, RED, AMBER, GREEN = "#2563eb", "#dc2626", "#b45309", "#15803d"
_VERDICTS = {Verdict.PASS: GREEN, Verdict.WARN: AMBER, Verdict.FAIL: RED, Verdict.UNKNOWN: AMBER}
_QUANTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999)


def over_time(run: LoadRun, title: str, verdict: Verdict, limits_ms: Mapping[str, float]) -> Any:
    """A matplotlib Figure: rates, percentiles from the intended time, errors; the warm-up is shaded."""
    figure = _figure(title, verdict)
    grid = figure.add_gridspec(3, 1, height_ratios=(1.5, 1.7, 1), left=0.08, right=0.975, top=0.9, bottom=0.07)
    first = figure.add_subplot(grid[0])
    panels = [first, *(figure.add_subplot(grid[row], sharex=first) for row in (1, 2))]
    seconds = [second for second in run.seconds if run.scheduled and second.at >= run.began]
    at = [second.at - run.began for second in seconds]
    _rates(panels[0], at, seconds)
    _percentiles(panels[1], at, seconds, limits_ms)
    _failures(panels[2], at, seconds)
    for axes in panels:
        _dress(axes)
        if run.warm_up_s:
            axes.axvspan(0, run.warm_up_s + 1, color=MUTED, alpha=0.09, linewidth=0, zorder=0)
    panels[0].tick_params(labelbottom=False)
    panels[1].tick_params(labelbottom=False)
    panels[2].set_xlabel("seconds since the first request was due (shaded: warm-up, not judged)", color=MUTED)
    return figure


def spread(run: LoadRun, title: str, verdict: Verdict, limits_ms: Mapping[str, float]) -> Any:
    """A matplotlib Figure: latency against percentile, log scale, from the intended time and from sending."""
    figure = _figure(title, verdict)
    axes = figure.add_axes((0.08, 0.1, 0.895, 0.77))
    places = [_place(q) for q in _QUANTILES]
    for found, colour, label in (
        (latency(run.measured), BLUE, "from the intended time"),
        (service(run.measured), MUTED, "from sending (what a closed loop reports)"),
    ):
        if not found.get_total_count():
            continue
        quantiles = [_QUANTILES[0] + step * (99.999 - _QUANTILES[0]) / 400 for step in range(400)]
        quantiles += [100 - 10 ** (-exponent / 40) for exponent in range(201)]
        curve = sorted(q for q in quantiles if q <= 99.999)
        values = [percentile_ms(found, q) or 0.001 for q in curve]
        axes.plot([_place(q) for q in curve], values, color=colour, linewidth=1.8, label=label)
    for name, value in limits_ms.items():
        axes.axhline(value, color=RED, linewidth=0.9, linestyle=(0, (5, 4)), alpha=0.7)
        axes.text(places[0], value * 1.05, f"{name} {value:g} ms", color=RED, fontsize=8.5)
    axes.axvline(_place(95), color=GRID, linewidth=1.2)
    axes.set_yscale("log")
    axes.set_ylabel("latency, ms", color=INK)
    axes.set_xlabel("percentile", color=MUTED)
    axes.set_xticks(places, [f"{q:g}%" for q in _QUANTILES])
    axes.set_xlim(places[0], places[-1])
    _dress(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _place(quantile: float) -> float:
    """Where a percentile stands: each tenfold step towards 100% takes the same width."""
    return -log10(1 - quantile / 100)


def _figure(title: str, verdict: Verdict) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.8, 7.6), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.022, 0.953, title, fontsize=13, fontweight="bold", color=INK, va="center")
    box: dict[str, Any] = {"boxstyle": "round,pad=0.45", "facecolor": _VERDICTS[verdict], "edgecolor": "none"}
    words: dict[str, Any] = {
        "fontsize": 12,
        "fontweight": "bold",
        "color": "white",
        "va": "center",
        "ha": "right",
        "bbox": box,
    }
    figure.text(0.975, 0.953, verdict.value, **words)
    return figure


def _rates(axes: Any, at: Sequence[int], seconds: Sequence[LoadSecond]) -> None:
    good = [second.requests - second.errors for second in seconds]
    axes.step(at, [second.offered for second in seconds], where="post", color=MUTED, linewidth=2.2, label="offered")
    axes.step(at, good, where="post", color=BLUE, linewidth=1.6, label="served")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("requests/s", color=INK)
    axes.legend(loc="lower center", ncols=2, frameon=False, fontsize=9, labelcolor=INK)


def _percentiles(axes: Any, at: Sequence[int], seconds: Sequence[LoadSecond], limits_ms: Mapping[str, float]) -> None:
    for key, label, colour, width in (
        ("p99_ms", "P99", AMBER, 1.2),
        ("p95_ms", "P95", INK, 1.8),
        ("p50_ms", "P50", BLUE, 1.2),
    ):
        known = [(x, getattr(second, key)) for x, second in zip(at, seconds, strict=True) if getattr(second, key)]
        axes.plot([x for x, _ in known], [y for _, y in known], color=colour, linewidth=width, label=label)
    for name, value in limits_ms.items():
        axes.axhline(value, color=RED, linewidth=0.9, linestyle=(0, (5, 4)), alpha=0.7)
        axes.text(0.995, value, f"{name} {value:g} ms", color=RED, fontsize=8.5, ha="right", va="bottom",
                  transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylabel("latency, ms", color=INK)
    axes.legend(loc="upper left", ncols=3, frameon=False, fontsize=9, labelcolor=INK)


def _failures(axes: Any, at: Sequence[int], seconds: Sequence[LoadSecond]) -> None:
    for key, colour, label in (("errors", RED, "failed"), ("late", AMBER, "missed: sent late"),
                               ("dropped", MUTED, "missed: never sent")):  # fmt: skip
        values = [getattr(second, key) for second in seconds]
        axes.step(at, values, where="post", color=colour, linewidth=1.5, label=label)
    axes.set_ylim(0, max([1, *(max(s.errors, s.late, s.dropped) for s in seconds)]) * 1.2)
    axes.set_ylabel("requests", color=INK)
    axes.legend(loc="upper left", ncols=3, frameon=False, fontsize=9, labelcolor=INK)


def _dress(axes: Any) -> None:
    axes.grid(axis="both", color=GRID, linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)


def draw(folder: Path, run: LoadRun, title: str, verdict: Verdict, system: System) -> dict[str, Path]:
    """Both pictures as PNG files in a folder: name -> file."""
    slo = system.slo.get("latency_p95")
    limits_ms = {"promised P95": slo.objective.bound * 1000} if slo and slo.objective else {}
    drawn = {
        "offered, served, latency and errors over time": (OVER_TIME, over_time(run, title, verdict, limits_ms)),
        "distribution of latencies": (SPREAD, spread(run, title, verdict, limits_ms)),
    }
    for file, figure in drawn.values():
        figure.savefig(folder / file, format="png")
    return {name: folder / file for name, (file, _) in drawn.items()}
