"""One picture of the whole story: what users saw, second by second, with fault, alert, page, rollback and recovery."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.drill import panels
from muster.drill.marks import AMBER, GREEN, RED, Mark, marks
from muster.drill.panels import GRID, INK, MUTED, Limits
from muster.system import System
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

_VERDICTS = {Verdict.PASS: GREEN, Verdict.WARN: AMBER, Verdict.FAIL: RED, Verdict.UNKNOWN: AMBER}
_LEAD_S, _TAIL_S = 6.0, 4.0  # of quiet before the fault and after the last mark


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
    rate: float | None = None  # requests a second that users were ordered to send


def prepare() -> None:
    """Read the drawing library meanwhile: a second and more that would hold up the second experiment."""
    threading.Thread(target=_library, name="drawing library").start()


def _library() -> tuple[type[Any], type[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return Figure, FigureCanvasAgg


def draw(timeline: Timeline, caption: Caption, limits: Limits) -> Any:
    """A matplotlib Figure: the story's marks above request rate, error ratio and P95, on one axis of time."""
    new_figure, canvas = _library()
    figure = new_figure(figsize=(12.8, 8.4), dpi=150, facecolor="white")
    canvas(figure)
    grid = figure.add_gridspec(
        4, 1, height_ratios=(1.15, 1.6, 1.6, 1.6), left=0.075, right=0.905, top=0.865, bottom=0.075, hspace=0.13
    )
    story = figure.add_subplot(grid[0])
    rows = [figure.add_subplot(grid[row], sharex=story) for row in (1, 2, 3)]
    zero = _zero(timeline)
    shown = marks(timeline, caption.alert, caption.page)
    seconds = list(timeline.of(Kind.TRAFFIC))
    span = _span(seconds, shown, zero)
    _heading(figure, timeline, caption)
    panels.requests(rows[0], seconds, zero, caption.rate)
    panels.errors(rows[1], seconds, zero, limits)
    panels.latency(rows[2], seconds, zero, limits)
    for axes in (story, *rows):
        axes.set_xlim(*span)
        _dress(axes)
        _shade(axes, timeline, zero, caption)
        for mark in shown:
            axes.axvline(mark.at, color=mark.colour, linewidth=1.1, alpha=0.85, zorder=2)
    for axes in (story, *rows[:2]):
        axes.tick_params(labelbottom=False)
    rows[2].set_xlabel("seconds after the fault" if shown else "seconds", color=MUTED, fontsize=10)
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
