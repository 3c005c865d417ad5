"""The autoscaler's arithmetic, as Kubernetes does it. No I/O.

https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.objects import condition, epoch, is_deleting, pod_phase, quantity
from lab.resources import Object

TOLERANCE = 0.1
_WARM_UP_S = 300.0  # of a young pod's CPU: what it uses to start says nothing
_INITIAL_DELAY_S = 30.0
_MOST_AT_ONCE = 4  # pods; from there on the number may double


class MetricError(Exception):
    """Why no number follows from the metrics, in the real controller's words."""


@dataclass(frozen=True)
class Usage:
    """What one pod used of a resource, over ``window_s`` until ``at`` (epoch)."""

    value: float
    at: float
    window_s: float


@dataclass(frozen=True)
class Proposal:
    """How many replicas the metric asks for, and what it is now: share of the request (percent) and mean per pod."""

    replicas: int
    utilization: int | None
    average: float


@dataclass(frozen=True)
class Target:
    """What is aimed at: ``utilization`` in percent of the request, or ``average`` per pod in cores or bytes."""

    resource: str
    utilization: int | None = None
    average: float | None = None

    @property
    def title(self) -> str:
        """How the real controller calls it."""
        return f"{self.resource} resource" + (
            " utilization (percentage of request)" if self.utilization is not None else ""
        )

    def per_pod(self, request: float) -> float:
        """What one pod that asks for ``request`` should use, in cores or bytes."""
        return request * self.utilization / 100 if self.utilization is not None else self.average or 0.0


def usage_of(metrics: Sequence[Object], resource: str) -> dict[str, Usage]:
    """Per pod, from the items of ``metrics.k8s.io``; a pod of which one container is unknown is left out."""
    found = {}
    for item in metrics:
        values = [container.get("usage", {}).get(resource) for container in item.get("containers") or []]
        if values and None not in values:
            window_s = _go_seconds(str(item.get("window", "")))
            total = sum(quantity(value) for value in values)
            found[item["metadata"]["name"]] = Usage(total, epoch(item["timestamp"]), window_s)
    return found


def _go_seconds(text: str) -> float:
    """Seconds of a Go duration such as ``1m0s`` or ``15.2s``."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(h|ms|m|s)", text))


def propose(
    target: Target, current: int, pods: Sequence[Object], usage: Mapping[str, Usage], time_scale: float = 1.0
) -> Proposal:
    """The number of replicas that the metric asks for. Raises :class:`MetricError`.

    Pods without metrics count as if they used what argues against a change; so do young and unready ones when more
    are asked for. ``time_scale`` divides the real controller's warm-up times.
    """
    if not pods:
        raise MetricError("no pods returned by selector while calculating replica count")
    counted, missing, unready = _grouped(target.resource, pods, usage, time_scale)
    names = {*counted, *missing, *unready}
    requests = _requests(target, [pod for pod in pods if pod["metadata"]["name"] in names])
    if not counted:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    wanted = {name: target.per_pod(requests.get(name, 0.0)) for name in names}
    values = {name: usage[name].value for name in counted}
    ratio = _ratio(values, wanted)
    average = sum(values.values()) / len(values)
    share = sum(requests.get(name, 0.0) for name in values)
    percent = int(round(sum(values.values()) * 100 / share, 6)) if share else None
    if not missing and not (unready and ratio > 1):
        replicas = current if abs(1 - ratio) <= TOLERANCE else math.ceil(round(ratio * len(values), 9))
        return Proposal(replicas, percent, average)
    if ratio < 1:
        values |= {name: max(requests.get(name, 0.0), wanted[name]) for name in missing}
    elif ratio > 1:
        values |= dict.fromkeys((*missing, *unready), 0.0)
    return Proposal(_careful(current, ratio, _ratio(values, wanted), len(values)), percent, average)


def _careful(current: int, before: float, after: float, count: int) -> int:
    """The number after assumptions were filled in: they may stop a change, never turn or start one."""
    if abs(1 - after) <= TOLERANCE or (before < 1 < after) or (after < 1 < before):
        return current
    replicas = math.ceil(round(after * count, 9))
    if (after < 1 and replicas > current) or (after > 1 and replicas < current):
        return current
    return replicas


def _ratio(values: Mapping[str, float], wanted: Mapping[str, float]) -> float:
    aim = sum(wanted[name] for name in values)
    return sum(values.values()) / aim if aim else 1.0


def _requests(target: Target, pods: Sequence[Object]) -> dict[str, float]:
    found: dict[str, float] = {}
    for pod in pods if target.utilization is not None else ():
        name = pod["metadata"]["name"]
        found[name] = 0.0
        for container in pod["spec"]["containers"]:
            asked = ((container.get("resources") or {}).get("requests") or {}).get(target.resource)
            if asked is None:
                container_name = container["name"]
                raise MetricError(f"missing request for {target.resource} in container {container_name} of Pod {name}")
            found[name] += quantity(asked)
    return found


def _grouped(
    resource: str, pods: Sequence[Object], usage: Mapping[str, Usage], time_scale: float
) -> tuple[list[str], list[str], list[str]]:
    """Names of pods whose metrics count, that have none, and that are not ready (their metrics do not count)."""
    counted, missing, unready = [], [], []
    for pod in pods:
        name = pod["metadata"]["name"]
        if is_deleting(pod) or pod_phase(pod) == "Failed":
            continue
        if pod_phase(pod) == "Pending":
            unready.append(name)
        elif name not in usage:
            missing.append(name)
        elif resource == "cpu" and _cold(pod, usage[name], time_scale):
            unready.append(name)
        else:
            counted.append(name)
    return counted, missing, unready


def _cold(pod: Object, used: Usage, time_scale: float) -> bool:
    ready, start = condition(pod, "Ready"), pod.get("status", {}).get("startTime")
    if ready is None or start is None:
        return True
    changed = epoch(ready["lastTransitionTime"]) if ready.get("lastTransitionTime") else 0.0
    if epoch(start) + _WARM_UP_S / time_scale > time.time():
        return ready["status"] == "False" or used.at < changed + used.window_s
    return ready["status"] == "False" and epoch(start) + _INITIAL_DELAY_S / time_scale > changed


class Recommendations:
    """What was recommended lately: a dip does not shrink a workload, a spike does not always grow it."""

    def __init__(self) -> None:
        self._made: deque[tuple[float, int]] = deque()

    def stabilized(self, current: int, wanted: int, *, down_s: float, up_s: float, now_s: float) -> int:
        """Not below the highest of the last ``down_s`` nor above the lowest of the last ``up_s`` seconds."""
        if not self._made:
            self._made.append((now_s, current))  # of what was before we looked, the size tells
        self._made.append((now_s, wanted))
        while self._made[0][0] < now_s - max(down_s, up_s):
            self._made.popleft()
        highest = max(number for at, number in self._made if at >= now_s - down_s)
        lowest = min(number for at, number in self._made if at >= now_s - up_s)
        if wanted < current:
            return min(current, highest)
        return max(current, min(wanted, lowest))


@dataclass(frozen=True)
class Bounded:
    """The number within its bounds, and what the condition ScalingLimited says about it."""

    replicas: int
    limited: bool
    reason: str
    message: str


def bounded(current: int, desired: int, least: int, most: int) -> Bounded:
    """Between minReplicas and maxReplicas, and at most doubled (or 4) at once."""
    fastest = max(2 * current, _MOST_AT_ONCE)
    if desired < least:
        return Bounded(
            least, True, "TooFewReplicas", "the desired replica count is less than the minimum replica count"
        )
    if desired > min(most, fastest):
        if most <= fastest:
            text = "the desired replica count is more than the maximum replica count"
            return Bounded(most, True, "TooManyReplicas", text)
        text = "the desired replica count is increasing faster than the maximum scale rate"
        return Bounded(fastest, True, "ScaleUpLimit", text)
    return Bounded(desired, False, "DesiredWithinRange", "the desired count is within the acceptable range")
