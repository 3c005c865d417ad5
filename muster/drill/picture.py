"""One picture of the whole story: what users saw, second by second, with fault, alert, page, rollback and recovery."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.drill.marks import AMBER, BLUE, GREEN, RED, Mark, marks
from muster.system import System
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
_VERDICTS = {Verdict.PASS: GREEN, Verdict.WARN: AMBER, Verdict.FAIL: RED, Verdict.UNKNOWN: AMBER}
_LEAD_S, _TAIL_S = 6.0, 4.0  # of quiet before the fault and after the last mark


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The lines to hold the curves against: label -> value, error ratios as shares, latencies in seconds."""

    error_ratio: Mapping[str, float]
    latency_s: Mapping[str, float]


def limits_of(system: System) -> Limits:
    """The rungs above which it gets worse, by their level's name."""
    found: dict[str, dict[str, float]] = {"error_ratio": {}, "latency_p95": {}}
    for name, rungs in found.items():
        slo = system.slo.get(name)
        for level in ("warning", "critical", "rollback"):
            limit = slo.limit(level) if slo else None
            if limit is not None and limit.above is not None:
                rungs[level] = limit.above
    return Limits(error_ratio=found["error_ratio"], latency_s=found["latency_p95"])


@dataclass(frozen=True, kw_only=True)
class Caption:
    """What stands above the picture: an experiment's title and verdict, the sentence of it, and what was measured."""

    title: str
    verdict: Verdict
    message: str
    measured: Mapping[str, Any]  # as in timeline.json
    alert: str = ""  # the one that was expected; others are left out of the picture
    page: str = ""  # the contact who was to be paged


def draw(timeline: Timeline, caption: Caption, limits: Limits) -> Any:
    """A matplotlib Figure: the story's marks above request rate, error ratio and P95, on one axis of time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.8, 8.4), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        4, 1, height_ratios=(1.15, 1.6, 1.6, 1.6), left=0.075, right=0.905, top=0.865, bottom=0.075, hspace=0.13
    )
    story = figure.add_subplot(grid[0])
    panels = [figure.add_subplot(grid[row], sharex=story) for row in (1, 2, 3)]
    zero = _zero(timeline)
    shown = marks(timeline, caption.alert, caption.page)
    seconds = list(timeline.of(Kind.TRAFFIC))
    span = _span(seconds, shown, zero)
    _heading(figure, timeline, caption)
    _requests(panels[0], seconds, zero)
    _errors(panels[1], seconds, zero, limits)
    _latency(panels[2], seconds, zero, limits)
    for axes in (story, *panels):
        axes.set_xlim(*span)
        _dress(axes)
        _shade(axes, timeline, zero, caption)
        for mark in shown:
            axes.axvline(mark.at, color=mark.colour, linewidth=1.1, alpha=0.85, zorder=2)
    for axes in (story, *panels[:2]):
        axes.tick_params(labelbottom=False)
    panels[2].set_xlabel("seconds after the fault" if shown else "seconds", color=MUTED, fontsize=10)
    _labels(figure, story, shown, span)
    _name_window(story, timeline, zero, caption)
    return figure


def save(figure: Any, file: Path) -> Path:
    """Write it as PNG."""
    figure.savefig(file, format="png")
    return file


def _zero(timeline: Timeline) -> float:
    first = timeline.first(Kind.FAULT_INJECTED) or timeline.first(Kind.DRILL_STARTED)
    return first.at if first else (timeline.events[0].at if timeline.events else 0.0)


def _span(seconds: Sequence[Event], shown: Sequence[Mark], zero: float) -> tuple[float, float]:
    last = max((mark.at for mark in shown), default=0.0)
    end = last + _TAIL_S if shown else max((event.at - zero for event in seconds), default=10.0)
    return -_LEAD_S, max(end, last + 0.18 * (last + _LEAD_S))


def _heading(figure: Any, timeline: Timeline, caption: Caption) -> None:
    verdict = caption.verdict
    figure.text(0.022, 0.955, caption.title, fontsize=15, fontweight="bold", color=INK, va="center")
    figure.text(
        0.975,
        0.955,
        verdict.value,
        fontsize=13,
        fontweight="bold",
        color="white",
        va="center",
        ha="right",
        bbox={"boxstyle": "round,pad=0.45", "facecolor": _VERDICTS[verdict], "edgecolor": "none"},
    )
    place = f"{timeline.system}/{timeline.environment}"
    said = _in_numbers(caption.measured) if verdict is Verdict.PASS else caption.message
    lines = textwrap.wrap(f"{place}   {said}", 170, max_lines=2, placeholder=" …")
    figure.text(0.022, 0.925, "\n".join(lines), fontsize=10, color=MUTED, va="top", linespacing=1.5)


def _in_numbers(found: Mapping[str, Any]) -> str:
    rows = (
        ("detected", found.get("detect_s")),
        ("paged", found.get("page_s")),
        ("webhook to proven rollback", found.get("rollback_s")),
        ("recovered", found.get("total_s")),
    )
    parts = [f"{name} {value:.1f} s" for name, value in rows if value is not None]
    if found.get("user_error_ratio") is not None:
        parts.append(f"users' errors {found['user_error_ratio']:.2%} of {found['user_requests']:,}")
    return "   ".join(parts)


def _requests(axes: Any, seconds: Sequence[Event], zero: float) -> None:
    at, requests = _steps(seconds, zero, "requests")
    _, errors = _steps(seconds, zero, "errors")
    axes.fill_between(at, requests, step="post", color=BLUE, alpha=0.14, linewidth=0, zorder=1)
    axes.step(at, requests, where="post", color=BLUE, linewidth=1.6, zorder=3, label="requests")
    axes.fill_between(at, errors, step="post", color=RED, alpha=0.55, linewidth=0, zorder=3, label="failed")
    axes.set_ylabel("requests/s", color=INK, fontsize=10)
    axes.set_ylim(0, max(requests, default=1) * 1.18 or 1)
    if not at:
        axes.text(0.5, 0.5, "no users in this experiment", transform=axes.transAxes, ha="center", color=MUTED)
    else:
        axes.legend(loc="upper left", ncols=2, frameon=False, fontsize=8.5, labelcolor=INK)


def _errors(axes: Any, seconds: Sequence[Event], zero: float, limits: Limits) -> None:
    at = [event.at - zero for event in seconds]
    ratio = [
        100 * event.data["errors"] / event.data["requests"] if event.data["requests"] else 0.0 for event in seconds
    ]
    at, ratio = _closed(at, ratio)
    axes.fill_between(at, ratio, step="post", color=RED, alpha=0.15, linewidth=0, zorder=1)
    axes.step(at, ratio, where="post", color=RED, linewidth=1.6, zorder=3)
    top = max([*ratio, *(100 * limit for limit in limits.error_ratio.values())], default=1.0) * 1.3 or 1.0
    axes.set_ylim(0, top)
    axes.set_ylabel("error ratio, %", color=INK, fontsize=10)
    _lines(axes, {name: 100 * value for name, value in limits.error_ratio.items()}, "%", top)


def _latency(axes: Any, seconds: Sequence[Event], zero: float, limits: Limits) -> None:
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


def _shade(axes: Any, timeline: Timeline, zero: float, caption: Caption) -> None:
    """The time in which the fault was in force, and the alert's own window before it fired."""
    start = timeline.first(Kind.FAULT_INJECTED)
    if start is None:
        return
    end = timeline.first(Kind.TRAFFIC_OFF, after=start.at) or timeline.first(Kind.HEALED, after=start.at)
    if timeline.first(Kind.ALERT_FIRING, after=start.at) and end is not None:
        axes.axvspan(start.at - zero, end.at - zero, color=RED, alpha=0.045, linewidth=0, zorder=0)
    firing = timeline.first(Kind.ALERT_FIRING, after=start.at, alert=caption.alert)
    window_s = float(caption.measured.get("window_s") or 0.0)
    if firing is not None and window_s:
        axes.axvspan(
            firing.at - zero - window_s, firing.at - zero,
            facecolor=AMBER, alpha=0.13, linewidth=0, zorder=0,
        )  # fmt: skip


def _name_window(axes: Any, timeline: Timeline, zero: float, caption: Caption) -> None:
    firing = timeline.first(Kind.ALERT_FIRING, after=zero, alert=caption.alert)
    window_s = float(caption.measured.get("window_s") or 0.0)
    if firing is not None and window_s:
        middle = firing.at - zero - window_s / 2
        name = axes.text(middle, 0.04, f"the alert's window, {window_s:g} s", color=AMBER, fontsize=8.5, ha="center")
        box = name.get_window_extent(axes.figure.canvas.get_renderer()).transformed(axes.transData.inverted())
        if box.width > window_s:
            name.remove()


def _dress(axes: Any) -> None:
    axes.grid(axis="both", color=GRID, linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)


def _labels(figure: Any, axes: Any, shown: Sequence[Mark], span: tuple[float, float]) -> None:
    """Write each mark's words beside its line, in the first row where they meet no others."""
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.set_ylim(0, 1)
    if not shown:
        axes.text(0.5, 0.5, "no fault was injected", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    renderer = figure.canvas.get_renderer()
    width = span[1] - span[0]
    pad, rows = 0.006 * width, []  # type: float, list[float]
    placed: list[tuple[Any, int]] = []
    for mark in shown:
        text = axes.text(
            mark.at + pad, 0.5, mark.text, color=mark.colour, fontsize=9.5, fontweight="bold", va="center", zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.9},
        )  # fmt: skip
        box = text.get_window_extent(renderer).transformed(axes.transData.inverted())
        row = next((number for number, end in enumerate(rows) if end <= mark.at), len(rows))
        rows[row : row + 1] = [box.x1 + 2 * pad]
        placed.append((text, row))
    for text, row in placed:
        text.set_y(1 - (row + 0.5) / max(len(rows), 1))


def _steps(seconds: Sequence[Event], zero: float, key: str) -> tuple[list[float], list[float]]:
    return _closed([event.at - zero for event in seconds], [float(event.data[key]) for event in seconds])


def _closed(at: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """A last point one second on, so that the last second is drawn too."""
    return ([*at, at[-1] + 1], [*values, values[-1]]) if at else (at, values)
