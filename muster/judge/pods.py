"""The pods: running, ready, of one build, and not restarting over and over."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.undeclared import declared
from muster.system.model import Pods as PodFacts
from muster.system.units import duration
from muster.verdict import SLOWarning

LEAVING_SLACK_S = 2.0  # over the grace period: a kill takes a moment, and times of the API are whole seconds
REMEMBERED_WINDOWS = 4  # of restarts: for so long an end for want of memory is worth a warning


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How a container's last process ended; ``at`` is seconds since the epoch."""

    code: int
    reason: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container. ``waiting`` is why it does not run, such as CrashLoopBackOff."""

    name: str
    image: str
    image_id: str
    ready: bool
    restarts: int
    running: bool = True
    waiting: str
    waiting_message: str
    last_exit: Exit | None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a container of a pod's spec asks for. ``main`` is the one that the environment names; quantities as written.

    ``init``: it runs, and ends, before the others.
    """

    name: str
    image: str
    main: bool
    init: bool
    requests: Mapping[str, str]
    limits: Mapping[str, str]

    def of(self, section: str) -> Mapping[str, str]:
        """``requests`` or ``limits``."""
        return {"requests": self.requests, "limits": self.limits}[section]


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One pod of the workload."""

    name: str
    created: float
    terminating: bool
    template_hash: str
    phase: str
    reason: str
    ip: str
    node: str
    conditions: Mapping[str, str]
    containers: tuple[Container, ...]
    ready_since: float = 0.0  # seconds since the epoch; 0 while it is not ready
    leaves_by: float = 0.0  # seconds since the epoch: the end of the grace period of one that is terminating
    asks: tuple[Ask, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether the kubelet says Ready."""
        return self.conditions.get("Ready") == "True"


def pods(raw: list[Mapping[str, Any]]) -> tuple[Pod, ...]:
    """The typed view of the reading ``pods``, by name."""
    return tuple(map(_pod, raw))


def _pod(raw: Mapping[str, Any]) -> Pod:
    containers, asks = tuple(map(_container, raw["containers"])), tuple(Ask(**entry) for entry in raw["asks"])
    return Pod(**{**raw, "containers": containers, "asks": asks})


def _container(raw: Mapping[str, Any]) -> Container:
    return Container(**{**raw, "last_exit": Exit(**raw["last_exit"]) if raw["last_exit"] else None})


def assert_running(pods: tuple[Pod, ...]) -> None:
    """Every pod that is not leaving runs: not Pending, failed, crash-looping or without its image."""
    for pod in staying(pods):
        for container in pod.containers:
            why = f"{container.waiting} {container.waiting_message}".strip()
            claim(not container.waiting, f"{pod.name}: container {container.name} waits: {why}")
        reason = f" ({pod.reason})" if pod.reason else ""
        claim(pod.phase == "Running", f"{pod.name} is {pod.phase}{reason}")
        claim(pod.ready, f"{pod.name} is running but not ready")


def assert_one_build(pods: tuple[Pod, ...], container: str = "") -> None:
    """Every replica runs the same image digest: a tag that moved, or half a rollout, shows here."""
    builds: dict[str, list[str]] = {}
    unknown = []
    for pod in staying(pods):
        entries = [entry for entry in pod.containers if container in {"", entry.name}]
        if not entries:
            unknown.append(_nothing_of(pod, container))
        for entry in entries:
            if entry.image_id:
                builds.setdefault(f"{entry.name} {entry.image_id.rpartition('@')[2][:19]}", []).append(pod.name)
            else:
                unknown.append(f"{pod.name}: the image id of {entry.name} is not reported yet")
    names = {build.split()[0] for build in builds}
    described = "; ".join(f"{build} on {', '.join(where)}" for build, where in sorted(builds.items()))
    claim(len(builds) == len(names), f"the replicas run different builds: {described}")
    _nothing_is(unknown)


def assert_few_restarts(pods: tuple[Pod, ...], facts: PodFacts | None, *, now: float, time_scale: float) -> None:
    """No container restarted more often than the runbook allows within its window; any restart in it warns.

    Kubernetes keeps a total and the last exit, so the total counts when the last exit is inside the window.
    """
    limit = declared(facts, "how many restarts are too many")
    window_s = limit.restart_window_s / time_scale
    for pod in staying(pods):
        for container in pod.containers:
            if container.last_exit is None or container.restarts == 0 or now - container.last_exit.at > window_s:
                continue
            times = "once" if container.restarts == 1 else f"{container.restarts} times"
            message = f"{pod.name} restarted {times}, last within {duration(window_s)}: {_why(container.last_exit)}"
            allowed = container.restarts <= limit.most_restarts
            claim(allowed, f"{message} (at most {limit.most_restarts} are allowed)")
            warnings.warn(message, SLOWarning, stacklevel=2)
    _nothing_is([_nothing_of(pod) for pod in staying(pods) if not pod.containers])


def assert_nothing_was_killed_for_memory(
    pods: tuple[Pod, ...], facts: PodFacts | None, *, now: float, time_scale: float
) -> None:
    """No container ended over its memory limit within the window of restarts; a little earlier warns.

    Kubernetes keeps only the last end of a container, so an earlier one may hide behind it.
    """
    window_s = declared(facts, "how far back an end matters").restart_window_s / time_scale
    for pod in staying(pods):
        for container in pod.containers:
            last = container.last_exit
            if last is None or last.reason != "OOMKilled" or now - last.at > REMEMBERED_WINDOWS * window_s:
                continue
            message = f"{pod.name}: container {container.name} was killed for its memory within"
            claim(now - last.at > window_s, f"{message} {duration(window_s)}")
            warnings.warn(f"{message} {duration(REMEMBERED_WINDOWS * window_s)}", SLOWarning, stacklevel=2)
    _nothing_is([_nothing_of(pod) for pod in staying(pods) if not pod.containers])


def leaving(raw: list[Mapping[str, Any]], *, now: float) -> frozenset[str]:
    """The pods of the reading ``pods`` that are being taken away, within their grace period: no replicas any more.

    Nobody is sent to them. One that outlives its grace period is stuck, and what is not known of it counts.
    """
    return frozenset(entry["name"] for entry in raw if now <= (entry.get("leaves_by") or 0.0) + LEAVING_SLACK_S)


def staying(pods: tuple[Pod, ...]) -> Iterator[Pod]:
    """The pods that are not being deleted. Raises Unknown when there is none: nothing was judged."""
    kept = [pod for pod in pods if not pod.terminating]
    if not kept:
        raise Unknown("every pod is being deleted")
    yield from kept


def _nothing_of(pod: Pod, container: str = "") -> str:
    return f"{pod.name}: nothing is reported of {f'its container {container}' if container else 'its containers'} yet"


def _nothing_is(unknown: list[str]) -> None:
    """Said last, when nothing failed: a pod of which nothing is known has shown nothing."""
    if unknown:
        raise Unknown(unknown[0])


def _why(exit_: Exit) -> str:
    return f"{exit_.reason or 'ended'}, exit code {exit_.code}"
