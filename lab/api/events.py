"""Events have two faces, core v1 and events.k8s.io/v1, over the same objects; stored is the core one."""

from __future__ import annotations

from typing import Any

_PAIRS = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
)
_TO_CORE = {new: core for core, new in _PAIRS}
_TO_NEW = dict(_PAIRS)


def inward(body: dict[str, Any]) -> dict[str, Any]:
    """events.k8s.io/v1 to core v1."""
    core = {_TO_CORE.get(key, key): value for key, value in body.items()}
    core.setdefault("involvedObject", {})
    return core


def outward(body: dict[str, Any]) -> dict[str, Any]:
    """Core v1 to events.k8s.io/v1, whose eventTime is there even when it is null."""
    new = {_TO_NEW.get(key, key): value for key, value in body.items()}
    new.setdefault("eventTime", None)
    return new
