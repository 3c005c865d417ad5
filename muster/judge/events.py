"""Warning events about the workload: what the cluster itself complains of."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.judge.claim import claim
from muster.judge.pods import Pod
from muster.judge.rollout import Deployment
from muster.judge.undeclared import declared
from muster.system.expectations import Pods as PodFacts
from muster.system.units import duration
from muster.verdict import SLOWarning

RESOLUTION_S = 1.0  # of the API's times


@dataclass(frozen=True, kw_only=True)
class Event:
    """A warning about one object; ``last`` is seconds since the epoch."""

    kind: str
    name: str
    reason: str
    message: str
    count: int
    last: float


def events(raw: list[Mapping[str, Any]]) -> tuple[Event, ...]:
    """The typed view of the reading ``events``, oldest first."""
    return tuple(Event(**entry) for entry in raw)


def assert_no_warning_is_open(
    events: tuple[Event, ...],
    pods: tuple[Pod, ...],
    deployment: Deployment,
    facts: PodFacts | None,
    *,
    now: float,
    time_scale: float,
) -> None:
    """No warning of the window is about something that is still in trouble; one that is over warns.

    The window is that of restarts. What was said of pods that are gone is history: their successors are judged. So is
    what was said of a pod before it became ready: probes fail while it starts.
    """
    window_s = declared(facts, "how far back warnings matter").restart_window_s / time_scale
    here = {pod.name: pod for pod in pods if not pod.terminating}
    whole = deployment.ready >= deployment.wanted
    for event in reversed(events):
        age_s = now - event.last
        if age_s > window_s or (event.kind == "Pod" and event.name not in here):
            continue
        times = f"{event.count} times, last " if event.count > 1 else ""
        when = f"{times}{duration(max(0, round(age_s)))} ago"
        said = f"{event.reason} of {event.kind} {event.name} ({when}): {event.message}"
        claim(here[event.name].ready if event.kind == "Pod" else whole, said)
        if event.kind == "Pod" and event.last <= here[event.name].ready_since + RESOLUTION_S:
            continue
        warnings.warn(f"{said} (over by now)", SLOWarning, stacklevel=2)
