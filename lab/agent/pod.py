"""One pod on this node: address, containers, status, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from lab.agent import process as processes
from lab.agent.container import Container
from lab.agent.context import Context
from lab.agent.environment import PodFacts
from lab.agent.hooks import before_stop
from lab.agent.records import PodRecord
from lab.agent.status import PodState, phase_of
from lab.agent.takeover import lost, take_over
from lab.agent.volumes import Volumes
from lab.errors import ApiError
from lab.objects import condition, is_deleting, now
from lab.resources import PODS

Object = dict[str, Any]
_SHORTEST_GRACE_S = 2.0  # what kubelets give even to pods deleted by force
_log = logging.getLogger(__name__)


class Pod:
    """A pod of this node; ``update`` and ``vanish`` bring what the API says, ``over`` is set when all is done."""

    def __init__(self, context: Context, pod: Object) -> None:
        self.context = context
        self.pod = pod
        self.over = asyncio.Event()
        self.containers: list[Container] = []
        self.init_containers: list[Container] = []
        self._state: PodState | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._exists = True
        self._dirty = False
        self._written: Object = {}
        self._writer: asyncio.Task[None] | None = None
        self._finished = False
        self._running: asyncio.Task[None] | None = None

    # What the API says

    def start(self, records: Mapping[tuple[str, str], PodRecord]) -> None:
        """Begin; ``records`` are processes that an earlier agent left, by pod uid and container."""
        if self.pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            self._finished = True
        else:
            self._prepare(records)
            self._running = asyncio.ensure_future(self._run())
            self._running.add_done_callback(self._report)
            self._exchange_images()
        if is_deleting(self.pod):
            self._stop()

    def update(self, pod: Object) -> None:
        """A newer object."""
        if int(pod["metadata"]["resourceVersion"]) > int(self.pod["metadata"]["resourceVersion"]):
            gates = self.pod["spec"].get("readinessGates")
            self.pod = pod
            if gates or self._contradicted():
                self.publish()
            self._exchange_images()
        if is_deleting(pod):
            if self._stopping is None:
                self._stop()
            else:
                self._shorten(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))

    def _contradicted(self) -> bool:
        """Whether somebody else wrote our Ready condition, as a cluster does for a node that it took for gone."""
        ours = condition({"status": self._written}, "Ready")
        theirs = condition(self.pod, "Ready")
        if ours is None or theirs is None or ours["status"] == theirs["status"]:
            return False
        self._written = {}
        return True

    def _exchange_images(self) -> None:
        """All that may change in the containers of a pod that runs."""
        if self._finished or self._stopping is not None:
            return
        for container, spec in zip(self.containers, self.pod["spec"]["containers"], strict=True):
            if spec["image"] != container.spec["image"]:
                grace_s = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
                self._running = asyncio.ensure_future(self._and(self._running, container.exchange(spec, grace_s)))
                self._running.add_done_callback(self._report)

    async def _and(self, before: asyncio.Task[None] | None, more: Awaitable[None]) -> None:
        await asyncio.gather(more, *([before] if before else []))
        self._settle()

    def vanish(self) -> None:
        """The object is gone from the API: nothing holds the processes any longer."""
        self._exists = False
        if self._stopping is None:
            self._stop()
        else:
            self._shorten(0)

    def _stop(self) -> None:
        grace_s = float(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0) if self._exists else 0.0
        self._stopping = asyncio.ensure_future(self._terminate(max(grace_s, _SHORTEST_GRACE_S)))
        self._stopping.add_done_callback(self._report)

    def _shorten(self, grace_s: float) -> None:
        asyncio.get_running_loop().call_later(max(grace_s, _SHORTEST_GRACE_S), self._kill)

    def _kill(self) -> None:
        for container in self.all():
            if container.process is not None:
                container.process.signal(signal.SIGKILL)

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("pod %s: %s", self.pod["metadata"]["name"], error, exc_info=error)

    def all(self) -> Iterable[Container]:
        """Its containers, those that initialize first."""
        return (*self.init_containers, *self.containers)

    # Life

    def _prepare(self, records: Mapping[tuple[str, str], PodRecord]) -> None:
        spec, status = self.pod["spec"], self.pod.get("status", {})
        ip = status.get("podIP")
        if ip:
            self.context.addresses.keep(ip)
        else:
            ports = [p["containerPort"] for c in spec["containers"] for p in c.get("ports") or []]
            ip = self.context.addresses.take(ports)
        facts = PodFacts(self.pod, ip, self.context.node, self.context.node_ip)
        volumes = Volumes(self.context, facts)
        policy = spec.get("restartPolicy", "Always")
        for entry in spec.get("initContainers") or []:
            init_policy = "Never" if policy == "Never" else "OnFailure"
            self.init_containers.append(
                Container(self.context, facts, entry, self.publish, volumes, policy=init_policy)
            )
        for entry in spec["containers"]:
            self.containers.append(Container(self.context, facts, entry, self.publish, volumes, policy=policy))
        self._state = PodState(
            ip=ip,
            host_ip=self.context.node_ip,
            start_time=status.get("startTime") or now(),
            containers=[container.state for container in self.containers],
            init_containers=[container.state for container in self.init_containers],
            sandbox=True,
        )
        self._resume(status, records)

    def _resume(self, status: Object, records: Mapping[tuple[str, str], PodRecord]) -> None:
        """Take over what an earlier agent left running, and count what it lost as ended."""
        known = {entry["name"]: entry for entry in status.get("containerStatuses") or []}
        for container in self.containers:
            entry = known.get(container.name)
            record = records.get((self.pod["metadata"]["uid"], container.name))
            process = processes.adopt(record.pid, record.create_time) if record else None
            if process is not None and record is not None:
                take_over(container, process, entry or {}, record.restart)
            elif entry is not None and entry.get("containerID"):
                lost(container, entry)

    async def _run(self) -> None:
        self.publish()
        taken_over = any(container.process is not None for container in self.containers)
        for container in [] if taken_over else self.init_containers:
            await container.run()
            if container.state.exit_code != 0:
                self._finish("Failed")
                return
        async with asyncio.TaskGroup() as tasks:
            for container in self.containers:
                tasks.create_task(container.run())
        self._settle()

    def _settle(self) -> None:
        """Nothing runs any longer: the phase is final, unless there is what never ends."""
        if not any(container.pause for container in self.containers):
            self._finish(phase_of(self.pod["spec"], [container.state for container in self.containers]))

    def _finish(self, phase: str) -> None:
        self._finished = True
        if self._state is not None:
            self._state.phase = phase
        self.publish()

    # Status

    def publish(self) -> None:
        """Have the present state written soon; many changes make one write."""
        self._dirty = True
        if self._exists and (self._writer is None or self._writer.done()):
            self._writer = asyncio.ensure_future(self._write())
            self._writer.add_done_callback(self._report)

    async def _write(self) -> None:
        delay_s = 0.05
        while self._dirty and self._exists and self._state is not None:
            self._dirty = False
            state = self._state
            if not self._finished:
                state.phase = phase_of(self.pod["spec"], state.containers)
            body = state.body(self.pod)
            if body == self._written:
                return
            meta = self.pod["metadata"]
            patch = {"metadata": {"uid": meta["uid"]}, "status": body}
            try:
                async with self.context.writing:
                    answer = await self.context.client.patch(
                        PODS, meta["namespace"], meta["name"], patch, subresource="status"
                    )
                self.pod, self._written = answer, body
                delay_s = 0.05
            except ApiError as error:
                if error.not_found or error.conflict:  # gone, or another pod of that name
                    return
                if not error.unreachable:
                    _log.warning("status of %s: %s", meta["name"], error)
                self._dirty = True
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 2.0)

    # End

    async def _terminate(self, grace_s: float) -> None:
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([self._running])
        alive = [container for container in self.all() if container.process is not None or container.pause]
        for container in alive:
            container.event("Normal", "Killing", f"Stopping container {container.name}")
        await asyncio.gather(*(self._end(container, grace_s) for container in alive))
        if alive and not self._finished:
            clean = all(container.state.exit_code == 0 for container in self.containers)
            self._finish("Succeeded" if clean else "Failed")
        await self._delete()
        if self._state is not None:
            self.context.addresses.release(self._state.ip)
        self.over.set()

    async def _end(self, container: Container, grace_s: float) -> None:
        """The preStop hook and the program share the grace period, as on a cluster."""
        spent_s = await before_stop(container, grace_s)
        await container.stop(max(grace_s - spent_s, _SHORTEST_GRACE_S if spent_s else 0.0))

    async def _delete(self) -> None:
        """The last word about a pod is its node's: delete it from the API without grace."""
        if self._writer is not None:
            await asyncio.wait([self._writer])
        delay_s = 0.05
        meta = self.pod["metadata"]
        while self._exists:
            try:
                await self.context.client.delete(PODS, meta["namespace"], meta["name"], grace_s=0, uid=meta["uid"])
            except ApiError as error:
                if error.not_found or error.conflict:
                    return
                if not error.unreachable:
                    _log.warning("deletion of %s: %s", meta["name"], error)
            else:
                return
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 2.0)

    def forget(self) -> None:
        """The agent ends: let the programs run on, as containers do without their kubelet."""
        for task in (self._running, self._stopping, self._writer):
            if task is not None:
                task.cancel()
        for container in self.all():
            if container.process is not None:
                container.process.forget()
