"""The load generator's figures of one second, as the timeline holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from muster.judge.seconds import LoadSecond, kinds
from muster.timeline import Event, Kind, Timeline

_KEYS = tuple(
    field.name
    for field in fields(LoadSecond)
    if field.name not in ("at", "endpoints", "p50_ms", "p99_ms")  # P95 is what promises are about
)


def told(second: LoadSecond) -> dict[str, Any]:
    """The data of a second's ``traffic`` event."""
    found: dict[str, Any] = {key: getattr(second, key) for key in _KEYS}
    failed = kinds([second])
    return found | {"kinds": dict(failed)} if failed else found


def figures(event: Event) -> LoadSecond | None:
    """The second of a ``traffic`` event; None where it tells requests and errors, but not what was due and sent."""
    if "offered" not in event.data:
        return None
    known = {key: event.data[key] for key in _KEYS if key in event.data}
    return LoadSecond(**{**known, "at": int(event.at), "p50_ms": None, "p99_ms": None})


def seconds(timeline: Timeline, since: float, until: float = float("inf")) -> list[LoadSecond]:
    """Those that begin in this time, of which everything is known."""
    found = (figures(event) for event in traffic(timeline, since, until))
    return [second for second in found if second is not None]


def traffic(timeline: Timeline, since: float, until: float = float("inf")) -> list[Event]:
    """The users' seconds that begin in this time."""
    return [event for event in timeline.of(Kind.TRAFFIC) if since <= event.at < until]


def errors_by_kind(events: Iterable[Event]) -> dict[str, int]:
    """How often each kind of error was seen; what was told of no kind is missing."""
    total: dict[str, int] = {}
    for event in events:
        for kind, count in event.data.get("kinds", {}).items():
            total[kind] = total.get(kind, 0) + int(count)
    return total
