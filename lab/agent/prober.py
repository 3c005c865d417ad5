"""Runs a container's startup, readiness and liveness probes and acts on them.

Until its first success a probe is asked after 20 ms, 40 ms and so on, at last every 100 ms, so that a pod is in service
as soon as its program is; kubelets probe at start too, if less eagerly. Failures still count once per period: a program
has as long as it has on a cluster.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from lab.agent.environment import PodFacts
from lab.agent.probes import probe
from lab.agent.process import Process
from lab.agent.status import ContainerState

Object = dict[str, Any]
_FIRST_PAUSE_S, _EAGER_S = 0.02, 0.1
_log = logging.getLogger(__name__)


class Probed(Protocol):
    """What probes need of a container."""

    name: str
    spec: Object
    facts: PodFacts
    state: ContainerState
    env: dict[str, str]
    process: Process | None
    publish: Callable[[], None]

    @property
    def folder(self) -> Path:
        """The container's own folder."""

    def event(self, kind: str, reason: str, message: str) -> None:
        """Record an event about this container."""


class Prober:
    """The probes of one run of one container."""

    def __init__(self, container: Probed) -> None:
        self._container = container
        self._born = time.monotonic()

    def start(self) -> asyncio.Task[None]:
        """:meth:`run` as a task of its own; a mistake that ends it is logged."""
        probing = asyncio.ensure_future(self.run())
        probing.add_done_callback(_report)
        return probing

    async def run(self) -> None:
        """Probe until cancelled, or until a probe has had the container killed."""
        spec = self._container.spec
        if "startupProbe" in spec and not self._container.state.started:
            if not await self._startup(spec["startupProbe"]):
                return
            self._container.state.started = True
            self._container.state.ready = "readinessProbe" not in spec
            self._container.publish()
        async with asyncio.TaskGroup() as tasks:
            if "readinessProbe" in spec:
                tasks.create_task(self._readiness(spec["readinessProbe"]))
            if "livenessProbe" in spec:
                tasks.create_task(self._liveness(spec["livenessProbe"]))

    async def _ask(self, spec: Object) -> str | None:
        own = self._container
        group = own.process.group if own.process else None
        return await probe(spec, own.spec, own.facts.ip, own.env, own.folder / "work", group=group)

    async def _initial_delay(self, spec: Object) -> None:
        await asyncio.sleep(max(0.0, (spec.get("initialDelaySeconds") or 0) - (time.monotonic() - self._born)))

    def _unhealthy(self, word: str, failure: str) -> None:
        self._container.event("Warning", "Unhealthy", f"{word} probe failed: {failure}")

    async def _startup(self, spec: Object) -> bool:
        await self._initial_delay(spec)
        period_s, threshold = float(spec.get("periodSeconds") or 10), spec.get("failureThreshold") or 3
        failures, due, pause = 0, time.monotonic() + period_s, _FIRST_PAUSE_S
        while (failure := await self._ask(spec)) is not None:
            if time.monotonic() >= due:
                failures += 1
                due += period_s
                self._unhealthy("Startup", failure)
                if failures >= threshold:
                    await self._kill("startup", spec)
                    return False
            await asyncio.sleep(pause)
            pause = min(2 * pause, _EAGER_S)
        return True

    async def _readiness(self, spec: Object) -> None:
        await self._initial_delay(spec)
        period_s = float(spec.get("periodSeconds") or 10)
        successes = failures = 0
        eager, due, pause = not self._container.state.ready, time.monotonic() + period_s, _FIRST_PAUSE_S
        while True:
            failure = await self._ask(spec)
            if failure is None:
                successes, failures, eager = successes + 1, 0, False
                if successes >= (spec.get("successThreshold") or 1):
                    self._set_ready(ready=True)
            else:
                if not eager or time.monotonic() >= due:
                    due = time.monotonic() + period_s
                    self._unhealthy("Readiness", failure)
                successes, failures = 0, failures + 1
                if failures >= (spec.get("failureThreshold") or 3):
                    self._set_ready(ready=False)
            await asyncio.sleep(pause if eager else period_s)
            pause = min(2 * pause, _EAGER_S)

    def _set_ready(self, *, ready: bool) -> None:
        if self._container.state.ready != ready:
            self._container.state.ready = ready
            self._container.publish()

    async def _liveness(self, spec: Object) -> None:
        await self._initial_delay(spec)
        period_s, threshold = float(spec.get("periodSeconds") or 10), spec.get("failureThreshold") or 3
        failures = 0
        while True:
            await asyncio.sleep(period_s)
            failure = await self._ask(spec)
            failures = 0 if failure is None else failures + 1
            if failure is not None:
                self._unhealthy("Liveness", failure)
            if failures >= threshold:
                await self._kill("liveness", spec)
                return

    async def _kill(self, word: str, spec: Object) -> None:
        own = self._container
        own.event("Normal", "Killing", f"Container {own.name} failed {word} probe, will be restarted")
        grace_s = spec.get("terminationGracePeriodSeconds")
        if grace_s is None:
            grace_s = own.facts.pod["spec"].get("terminationGracePeriodSeconds", 30)
        if own.process is not None:
            await own.process.stop(float(grace_s))


def _report(probing: asyncio.Task[None]) -> None:
    if not probing.cancelled() and (error := probing.exception()) is not None:
        _log.error("probes ended: %s", error, exc_info=error)
