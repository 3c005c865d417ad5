"""Quantities as people write them ("5m", "10%", "2.4GB", "500ms", "6000/s"), parsed once, at the border."""

from __future__ import annotations

import re
from enum import StrEnum


class Unit(StrEnum):
    """The base unit in which an indicator is measured and compared."""

    RATIO = "ratio"  # 0..1, written as a percentage
    SECONDS = "seconds"
    BYTES = "bytes"
    PER_SECOND = "per_second"
    COUNT = "count"


_SCALES: dict[Unit, dict[str, float]] = {
    Unit.RATIO: {"%": 0.01},
    Unit.SECONDS: {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    Unit.BYTES: {
        "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    },
    Unit.PER_SECOND: {"/s": 1.0, "/min": 1 / 60},
    Unit.COUNT: {"": 1.0},
}  # fmt: skip
_NUMBER = r"[0-9][0-9,_]*(?:\.[0-9]+)?"
_WRITTEN = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z/%]*)\s*")
_EXAMPLE = {
    Unit.RATIO: "5%", Unit.SECONDS: "200ms or 5m", Unit.BYTES: "2.4GB", Unit.PER_SECOND: "6,000/s", Unit.COUNT: "3",
}  # fmt: skip


def pattern_of(unit: Unit) -> str:
    """A regular expression, in JSON Schema's dialect, of what :func:`parse_quantity` takes for this unit."""
    return rf"^\s*{_NUMBER}\s*({'|'.join(_SCALES[unit])})\s*$"


DURATION = pattern_of(Unit.SECONDS)


def parse_quantity(text: object, unit: Unit) -> float:
    """The value in the base unit. Raises ValueError, in a sentence, on a missing or foreign unit."""
    match = _WRITTEN.fullmatch(str(text))
    scales = _SCALES[unit]
    if match is None or match[2] not in scales:
        raise ValueError(f"{text!r} is not a quantity in {unit.value}; write it like {_EXAMPLE[unit]}")
    return float(match[1].replace(",", "").replace("_", "")) * scales[match[2]]


def parse_duration(text: object) -> float:
    """Seconds of "250ms", "5m", "1h" (and of "0s"). Raises ValueError."""
    return parse_quantity(text, Unit.SECONDS)


def show(value: float, unit: Unit) -> str:
    """The value as people write it: ``12.3%``, ``512 ms``, ``2.40 GB``, ``6,790/s``, ``3``."""
    match unit:
        case Unit.RATIO:
            return f"{value * 100:.3g}%"
        case Unit.SECONDS:
            return f"{value * 1000:.3g} ms" if value < 1 else duration(value)
        case Unit.BYTES:
            return next(
                (f"{value / n:.3g} {s}" for s, n in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)) if value >= n),
                f"{value:.0f} B",
            )
        case Unit.PER_SECOND:
            return f"{value:,.3g}/s" if value < 100 else f"{value:,.0f}/s"
        case Unit.COUNT:
            return f"{value:g}"


def duration(seconds: float) -> str:
    """``5m``, ``1h30m``, ``250ms``, ``2.5s`` (the last is for people: Prometheus wants whole units)."""
    if seconds == 0:
        return "0s"
    if seconds < 60 or seconds != int(seconds):
        milliseconds = round(seconds * 1000)
        return (
            f"{milliseconds // 1000}s"
            if milliseconds % 1000 == 0
            else (f"{milliseconds}ms" if milliseconds < 1000 else f"{milliseconds / 1000:g}s")
        )
    parts, rest = [], int(seconds)
    for suffix, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{suffix}")
    return "".join(parts)
