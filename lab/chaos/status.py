"""What Chaos Mesh writes into an object's status: no I/O."""

from __future__ import annotations

import time
from typing import Any

from lab.chaos.spec import Plan
from lab.objects import annotations_of, epoch, is_deleting, now

Object = dict[str, Any]
INJECTED, NOT_INJECTED = "Injected", "Not Injected"
RUN, STOP = "Run", "Stop"
FINALIZER = "chaos-mesh/records"
PAUSE = "experiment.chaos-mesh.org/pause"
_KEPT_EVENTS = 5


def paused(item: Object) -> bool:
    """Whether somebody has paused it by annotation."""
    return annotations_of(item).get(PAUSE) == "true"


def desired_phase(item: Object, plan: Plan) -> tuple[str, float | None]:
    """Run or Stop, and the seconds until its duration is over (None: it has no end of its own)."""
    if is_deleting(item):
        return STOP, None
    if plan.one_shot:  # done once, never twice
        return RUN, None
    left_s = None
    if plan.duration_s is not None:
        left_s = epoch(item["metadata"]["creationTimestamp"]) + plan.duration_s - time.time()
        if left_s <= 0:
            return STOP, None
    return (STOP if paused(item) else RUN), left_s


def record(selector_key: str, target: str) -> Object:
    """A fresh record of one target."""
    return {"id": target, "selectorKey": selector_key, "phase": NOT_INJECTED, "injectedCount": 0, "recoveredCount": 0}


def note(entry: Object, operation: str, message: str = "") -> None:
    """Note that a target's fault was applied or recovered, or with a message: that it could not be."""
    event = {"type": "Failed" if message else "Succeeded", "operation": operation, "timestamp": now()}
    event |= {"message": message} if message else {}
    entry["events"] = [*(entry.get("events") or ()), event][-_KEPT_EVENTS:]
    if not message:
        applied = operation == "Apply"
        entry["phase"] = INJECTED if applied else NOT_INJECTED
        entry["injectedCount" if applied else "recoveredCount"] += 1


def conditions(records: list[Object], *, is_paused: bool) -> list[Object]:
    """The four conditions, from the records."""

    def all_are(phase: str) -> bool:
        return bool(records) and all(entry["phase"] == phase for entry in records)

    found = {
        "Selected": bool(records),
        "AllInjected": all_are(INJECTED),
        "AllRecovered": all_are(NOT_INJECTED),
        "Paused": is_paused,
    }
    return [{"type": kind, "status": "True" if holds else "False"} for kind, holds in found.items()]


def body(records: list[Object], desired: str, *, is_paused: bool) -> Object:
    """The whole status."""
    experiment = {"desiredPhase": desired} | ({"containerRecords": records} if records else {})
    return {"conditions": conditions(records, is_paused=is_paused), "experiment": experiment}
