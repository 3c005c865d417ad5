"""What READY, STATUS and RESTARTS say of a pod: the rules of the API's own printer, which people read every day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lab.api import clock
from lab.api.selectors import lookup


def _condition(pod: dict[str, Any], kind: str) -> dict[str, Any]:
    found = [one for one in lookup(pod, "status.conditions") or () if one.get("type") == kind]
    return found[0] if found else {}


def _statuses(pod: dict[str, Any], key: str = "containerStatuses") -> list[dict[str, Any]]:
    return lookup(pod, f"status.{key}") or []


def _is_running_and_ready(status: dict[str, Any]) -> bool:
    return bool(status.get("ready")) and (status.get("state") or {}).get("running") is not None


def pod_ready(pod: dict[str, Any]) -> str:
    """READY: containers that run and are ready, of all."""
    ready = sum(1 for one in _statuses(pod) if _is_running_and_ready(one))
    return f"{ready}/{len(lookup(pod, 'spec.containers') or ())}"


def pod_restarts(pod: dict[str, Any], now: datetime) -> str:
    """RESTARTS: how often, and how long ago the last time."""
    statuses = _statuses(pod)
    count = sum(int(one.get("restartCount") or 0) for one in statuses)
    finished = [clock.parse(lookup(one, "lastState.terminated.finishedAt")) for one in statuses]
    times = [when for when in finished if when is not None]
    if count and times:
        return f"{count} ({clock.human((now - max(times)).total_seconds())} ago)"
    return str(count)


def _state_reason(state: dict[str, Any]) -> str | None:
    """What a container's state says, None when it merely runs."""
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason"):
        return str(waiting["reason"])
    if terminated is None:
        return None
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _init_reason(pod: dict[str, Any]) -> str | None:
    """The STATUS while init containers are at work, else None."""
    statuses = _statuses(pod, "initContainerStatuses")
    for index, one in enumerate(statuses):
        state = one.get("state") or {}
        terminated = state.get("terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        reason = _state_reason(state)
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
        return f"Init:{index}/{len(lookup(pod, 'spec.initContainers') or ())}"
    return None


def pod_status(pod: dict[str, Any]) -> str:
    """STATUS: the phase, or what is more telling than the phase."""
    phase = str(lookup(pod, "status.phase") or "")
    own_reason = str(lookup(pod, "status.reason") or "")
    reason = own_reason or phase
    if _condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    initializing = _init_reason(pod)
    if initializing and _condition(pod, "Initialized").get("status") != "True":
        reason = initializing
    else:
        for one in reversed(_statuses(pod)):
            reason = _state_reason(one.get("state") or {}) or reason
        if reason == "Completed" and any(_is_running_and_ready(one) for one in _statuses(pod)):
            reason = "Running" if _condition(pod, "Ready").get("status") == "True" else "NotReady"
    if lookup(pod, "metadata.deletionTimestamp"):
        if own_reason == "NodeLost":
            return "Unknown"
        if phase not in {"Succeeded", "Failed"}:
            return "Terminating"
    return reason
