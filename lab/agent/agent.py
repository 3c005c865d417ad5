"""The node agent: runs the pods that are bound to its node, and is their scheduler."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
from collections import deque
from pathlib import Path
from typing import Any

from lab.agent import cadvisor
from lab.agent import process as processes
from lab.agent.addresses import Addresses
from lab.agent.context import Context
from lab.agent.images import Catalog
from lab.agent.logs import LogWatcher
from lab.agent.node import NODE_IP, NODE_NAME, Node
from lab.agent.pod import Pod
from lab.agent.records import PodRecord, Records
from lab.agent.scheduler import Scheduler
from lab.agent.server import KubeletServer
from lab.agent.summary import CONTENT_TYPE, Summary
from lab.agent.warm import WarmStarts
from lab.cgroups import Cgroups
from lab.client import Client
from lab.errors import ApiError, LabError
from lab.informer import Informer
from lab.recorder import Recorder
from lab.resources import NODES, PODS

Object = dict[str, Any]
_KEPT_FOLDERS = 50  # logs of deleted pods, for whoever looks afterwards
_MEMORY_LOOK_S = 0.25
_MEMORY_CLOSE_LOOK_S = 0.05
_log = logging.getLogger(__name__)


class Agent:
    """``run`` until cancelled; then the pods' processes are left running, as a kubelet's end leaves containers."""

    def __init__(
        self,
        client: Client,
        state: Path,
        images: Path,
        time_scale: float,
        *,
        port: int = 0,
        cgroups: bool = True,
        chaos: bool = True,
    ) -> None:
        self._client = client
        self._chaos = chaos
        self._port = port
        self._state = state.resolve()
        self._pods: dict[str, Pod] = {}
        self._old_folders: deque[Path] = deque()
        self._left: dict[tuple[str, str], PodRecord] = {}
        self._informers = {"pods": Informer(client, PODS), "nodes": Informer(client, NODES)}
        self._scheduling = Recorder(client, "default-scheduler", host=NODE_NAME, time_scale=time_scale)
        self._waits: set[asyncio.Task[None]] = set()
        self._context = Context(
            client=client,
            recorder=Recorder(client, "kubelet", host=NODE_NAME, time_scale=time_scale),
            catalog=Catalog(images),
            addresses=Addresses(self._state / "agent"),
            records=Records(self._state),
            cgroups=Cgroups.claim(self._state) if cgroups else Cgroups(),
            watcher=LogWatcher(),
            warm=WarmStarts(self._state),
            state=self._state,
            node=NODE_NAME,
            node_ip=NODE_IP,
            time_scale=time_scale,
        )

    async def run(self) -> None:
        """Register the node, then do what the API asks for."""
        server = KubeletServer(self._find, self._state / "token")
        summary = Summary(NODE_NAME)
        server.offer("/metrics/cadvisor", lambda: (cadvisor.CONTENT_TYPE, cadvisor.text(list(self._pods.values()))))
        server.offer("/stats/summary", lambda: (CONTENT_TYPE, summary.text(list(self._pods.values()))))
        pods, nodes = self._informers["pods"], self._informers["nodes"]
        scheduler = Scheduler(self._client, pods, nodes, self._scheduling, NODE_NAME)
        self._context.warm.prepare(self._context.catalog.warm())
        try:
            node = Node(self._client, await server.start(self._port), self._context.cgroups.holders())
            await _patiently(node)
            self._left = {(record.pod_uid, record.container): record for record in self._context.records.all()}
            async with asyncio.TaskGroup() as tasks:
                for part in (pods.run, nodes.run, scheduler.run, node.run, self._watch_memory):
                    tasks.create_task(part())
                for recorder in (self._context.recorder, self._scheduling):
                    tasks.create_task(recorder.run())
                await pods.synced.wait()
                pods.on_change(self._changed)
                await self._end_orphans()
                if self._chaos:
                    tasks.create_task(self._carry_out_chaos(pods))
        finally:
            for pod in self._pods.values():
                pod.forget()
            await server.stop()
            self._context.watcher.close()
            self._context.addresses.close()
            self._context.warm.close()

    async def _carry_out_chaos(self, pods: Informer) -> None:
        """Chaos Mesh objects: on a cluster another daemon on the node does it, here it costs no process."""
        from lab.chaos.controller import ChaosController
        from lab.chaos.faults import NodeAgent

        recorder = Recorder(self._client, ChaosController.name, time_scale=self._context.time_scale)
        ours = NodeAgent(self._client, self._find, pods, self._context.catalog.pause, self._state)
        await asyncio.gather(recorder.run(), ChaosController(ours, recorder).run())

    def _find(self, namespace: str, name: str) -> Pod | None:
        known = self._informers["pods"].get(namespace, name)
        return self._pods.get(known["metadata"]["uid"]) if known else None

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            known = self._pods.get((old or {})["metadata"]["uid"])
            if known is not None:
                known.vanish()
            return
        if new["spec"].get("nodeName") != NODE_NAME:
            return
        uid = new["metadata"]["uid"]
        known = self._pods.get(uid)
        if known is not None:
            known.update(new)
            return
        try:
            pod = Pod(self._context, new)
            pod.start(self._left)
        except (LabError, OSError) as error:
            _log.error("pod %s cannot run: %s", new["metadata"]["name"], error)
            return
        self._pods[uid] = pod
        wait = asyncio.ensure_future(self._clean_up(uid, pod))
        self._waits.add(wait)
        wait.add_done_callback(self._waits.discard)

    async def _clean_up(self, uid: str, pod: Pod) -> None:
        await pod.over.wait()
        self._pods.pop(uid, None)
        self._old_folders.append(self._context.pod_folder(pod.pod))
        while len(self._old_folders) > _KEPT_FOLDERS:
            shutil.rmtree(self._old_folders.popleft(), ignore_errors=True)

    async def _end_orphans(self) -> None:
        """Processes of pods that were deleted while no agent was looking, and what they have left behind."""
        present = {pod["metadata"]["uid"] for pod in self._informers["pods"].items()}
        for (uid, _), record in self._left.items():
            if uid in present:
                continue
            process = processes.adopt(record.pid, record.create_time)
            if process is not None:
                process.signal(signal.SIGKILL)
                await process.wait()
            self._context.records.erase(record.name)
        groups = self._context.cgroups
        kept = {container.group_name() for pod in self._pods.values() for container in pod.all()}
        for name in groups.names() - kept:
            if (group := groups.find(name)) is not None:
                await group.end()

    async def _watch_memory(self) -> None:
        """Memory limits by our own watch; a program near its limit is looked at more often."""
        while True:
            near = False
            for process, limit in list(self._context.limited.items()):
                used = process.resident_bytes()
                near = near or used > limit * 0.7
                if used > limit and process.running:
                    process.out_of_memory = True
                    process.signal(signal.SIGKILL)
            await asyncio.sleep(_MEMORY_CLOSE_LOOK_S if near else _MEMORY_LOOK_S)


async def _patiently(node: Node) -> None:
    delay_s = 0.05
    while True:
        try:
            await node.register()
        except ApiError as error:
            if not error.unreachable:
                _log.warning("registration: %s", error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 2.0)
        else:
            return
