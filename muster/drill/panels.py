"""The curves of a drill's picture: what users asked for and got, what failed, and how long it took, by the second."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.drill.marks import AMBER, BLUE, RED
from muster.timeline import Event

INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The lines to hold the curves against: label -> value, error ratios as shares, latencies in seconds."""

    error_ratio: Mapping[str, float]
    latency_s: Mapping[str, float]


def requests(axes: Any, seconds: Sequence[Event], zero: float, rate: float | None) -> None:
    """The ordered rate as a line, what was answered below it, what failed of that, and above it what was never sent."""
    at, answered = _steps(seconds, zero, "requests")
    _, failed = _steps(seconds, zero, "errors")
    _, dropped = _steps(seconds, zero, "dropped")
    both = [one + other for one, other in zip(answered, dropped, strict=True)]
    axes.set_ylabel("requests/s", color=INK, fontsize=10)
    axes.set_ylim(0, max([*both, rate or 0.0], default=1) * 1.32 or 1)
    if not at:
        axes.text(0.5, 0.5, "no users in this experiment", transform=axes.transAxes, ha="center", color=MUTED)
        return
    axes.fill_between(at, answered, step="post", color=BLUE, alpha=0.14, linewidth=0, zorder=1)
    if any(dropped):
        shade = {"color": AMBER, "alpha": 0.35, "linewidth": 0, "zorder": 1}
        axes.fill_between(at, answered, both, step="post", label="never sent", **shade)
    axes.fill_between(at, failed, step="post", color=RED, alpha=0.55, linewidth=0, zorder=3, label="failed")
    axes.step(at, answered, where="post", color=BLUE, linewidth=1.6, zorder=3, label="answered")
    if rate is not None:
        axes.axhline(rate, color=INK, linewidth=1.1, linestyle=(0, (1, 1.5)), zorder=4, label=f"ordered: {rate:,.0f}/s")
    axes.legend(loc="upper left", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK, borderaxespad=0.1)


def errors(axes: Any, seconds: Sequence[Event], zero: float, limits: Limits) -> None:
    """The share of requests that failed; above it, paler, with those that were never sent.

    A second without any answer has no such share: the curve has a gap there, shaded and named.
    """
    at, ratio = _closed([event.at - zero for event in seconds], [_share(event, "errors") for event in seconds])
    _, with_unsent = _closed(at[:-1], [_share(event, "errors", "dropped") for event in seconds])
    if any(event.data.get("dropped") for event in seconds):
        shade = {"color": AMBER, "alpha": 0.35, "linewidth": 0, "zorder": 1}
        answered = [0.0 if math.isnan(value) else value for value in ratio]
        axes.fill_between(at, answered, with_unsent, step="post", label="with what was never sent", **shade)
    axes.fill_between(at, ratio, step="post", color=RED, alpha=0.15, linewidth=0, zorder=1)
    axes.step(at, ratio, where="post", color=RED, linewidth=1.6, zorder=3)
    for number, second in enumerate(unheard := [at[i] for i, value in enumerate(ratio[:-1]) if math.isnan(value)]):
        label = "no answers" if number == 0 else None
        axes.axvspan(second, second + 1, color=MUTED, alpha=0.18, linewidth=0, zorder=0, label=label)
    if unheard or any(event.data.get("dropped") for event in seconds):
        axes.legend(loc="upper left", frameon=False, fontsize=8.5, labelcolor=INK, borderaxespad=0.1)
    rungs = {name: 100 * value for name, value in limits.error_ratio.items()}
    known = [value for value in with_unsent if not math.isnan(value)]
    top = max([*known, *rungs.values()], default=1.0) * 1.3 or 1.0
    axes.set_ylim(0, top)
    axes.set_ylabel("error ratio, %", color=INK, fontsize=10)
    _lines(axes, rungs, "%", top)


def latency(axes: Any, seconds: Sequence[Event], zero: float, limits: Limits) -> None:
    """P95 of each second, from when requests were due."""
    known = [event for event in seconds if event.data.get("p95_ms") is not None]
    at, p95 = _closed([event.at - zero for event in known], [float(event.data["p95_ms"]) for event in known])
    axes.step(at, p95, where="post", color=INK, linewidth=1.6, zorder=3)
    axes.fill_between(at, p95, step="post", color=INK, alpha=0.08, linewidth=0, zorder=1)
    highest = max(p95, default=1.0)
    near = {
        name: 1000 * value
        for name, value in limits.latency_s.items()
        if 1000 * value <= max(4 * highest, 1000 * min(limits.latency_s.values()))
    }
    top = max([highest, *near.values()]) * 1.3
    axes.set_ylim(0, top)
    axes.set_ylabel("P95, ms", color=INK, fontsize=10)
    _lines(axes, near, " ms", top)


def _lines(axes: Any, limits: Mapping[str, float], unit: str, top: float) -> None:
    """Each limit as a dashed line, its name in the margin where it hides no curve; shaded above the highest."""
    if limits:
        axes.axhspan(max(limits.values()), top, color=RED, alpha=0.06, linewidth=0, zorder=0)
    last = float("-inf")
    for name, value in sorted(limits.items(), key=lambda item: item[1]):
        axes.axhline(value, color=RED, linewidth=0.9, linestyle=(0, (5, 4)), alpha=0.7, zorder=2)
        y = max(value, last + 0.1 * top)
        axes.text(
            1.006, y / top, f"{name} {value:g}{unit}", transform=axes.transAxes,
            ha="left", va="center", fontsize=8.5, color=RED,
        )  # fmt: skip
        last = y


def _share(event: Event, *failed: str) -> float:
    """Of a second's requests, in percent; those that were never sent are asked for, too, where they count as failed."""
    asked = event.data["requests"] + (event.data.get("dropped", 0) if "dropped" in failed else 0)
    return 100 * sum(event.data.get(key, 0) for key in failed) / asked if asked else math.nan


def _steps(seconds: Sequence[Event], zero: float, key: str) -> tuple[list[float], list[float]]:
    return _closed([event.at - zero for event in seconds], [float(event.data.get(key, 0)) for event in seconds])


def _closed(at: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """A last point one second on, so that the last second is drawn too."""
    return ([*at, at[-1] + 1], [*values, values[-1]]) if at else (at, values)
