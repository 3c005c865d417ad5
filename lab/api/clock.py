"""Times and durations as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def now() -> datetime:
    """This instant, in UTC."""
    return datetime.now(UTC)


def stamp(when: datetime) -> str:
    """RFC 3339 with whole seconds, as metadata.creationTimestamp has it."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: Any) -> datetime | None:
    """A timestamp of an object; None when it is absent or not a time."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def human(seconds: float) -> str:
    """A duration in at most two units, coarser as it grows: the AGE column."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    minutes, hours = whole // 60, whole // 3600
    days = hours // 24
    if whole < 120:
        return f"{max(whole, 0)}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 365 * 8 else f"{days // 365}y"


def _two(major: int, unit: str, minor: int, subunit: str) -> str:
    return f"{major}{unit}{minor}{subunit}" if minor else f"{major}{unit}"


def since(text: Any, at: datetime) -> str:
    """The age of a timestamp, "<unknown>" without one."""
    when = parse(text)
    return "<unknown>" if when is None else human((at - when).total_seconds())
