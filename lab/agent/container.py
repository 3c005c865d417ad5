"""One container: pulled, started, probed, restarted, as a kubelet does it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.agent.backoff import Backoff, go_duration
from lab.agent.context import Context
from lab.agent.environment import ConfigError, PodFacts, expand, resolve
from lab.agent.images import ROOT, Image
from lab.agent.logs import Log
from lab.agent.prober import Prober
from lab.agent.process import Process
from lab.agent.pulling import pull
from lab.agent.records import PodRecord, record_name
from lab.agent.status import ContainerState
from lab.agent.volumes import MountError, Volumes
from lab.cgroups import Group
from lab.errors import ApiError
from lab.objects import now, timestamp

Object = dict[str, Any]
_CONFIG_RETRY_S = 0.5
_KEPT_LOGS = 3


class Container:
    """Runs one container of a pod until it is over; ``publish`` is called whenever ``state`` has changed."""

    def __init__(
        self,
        context: Context,
        facts: PodFacts,
        spec: Object,
        publish: Callable[[], None],
        volumes: Volumes,
        *,
        policy: str,
    ) -> None:
        self.context = context
        self.spec = spec
        self.name: str = spec["name"]
        self.facts = facts
        self.state = ContainerState(self.name, spec["image"], spec.get("resources") or {})
        self.process: Process | None = None
        self.log: Log | None = None
        self.ended = asyncio.Event()  # of the present run; logs are followed until then
        self.env: dict[str, str] = {}
        self.guests: set[Process] = set()  # programs that exec has started
        self.oom_kills = 0  # in runs that have ended
        self.pause = False
        self._exchanged = False  # by an image that somebody else has named
        self.publish = publish
        self._policy = policy
        self._volumes = volumes
        self._crashes = Backoff(context.time_scale, immediate_first=True)
        self._pulls = Backoff(context.time_scale, immediate_first=False)
        self.started_at = 0.0

    @property
    def folder(self) -> Path:
        """The container's own folder: logs, and ``work`` for the program."""
        return self.context.pod_folder(self.facts.pod) / self.name

    def event(self, kind: str, reason: str, message: str) -> None:
        """Record an event about this container."""
        self.context.recorder.record(
            self.facts.pod, kind, reason, message, field_path=f"spec.containers{{{self.name}}}"
        )

    async def run(self) -> None:
        """Start, watch and restart until the restart policy says that it is over. Pause images never end."""
        if self.process is not None:  # taken over: exec probes want its environment
            await self._configure(await pull(self, self._pulls))
        while True:
            if self.process is None:
                image = await pull(self, self._pulls)
                if image.pause:
                    self._start_pause(image)
                    return
                if not await self._configure(image):
                    continue
                if not await self._start(image):
                    continue
            if self.process is not None:
                await self._live(self.process)
            ended = self.state.state
            if not self._exchanged:
                if not self._restart_wanted():
                    return
                await self._back_off()
            self._begin_next_run(ended)

    # Before the start

    async def _configure(self, image: Image) -> bool:
        """Prepare volumes and environment; False after a wait, when they refer to something that is not there."""
        try:
            await self._volumes.prepare()
            self.env = await resolve(self.context.client, self.facts, self.spec, self._base_environment(image))
        except MountError as error:  # the container stays ContainerCreating
            self.context.recorder.record(self.facts.pod, "Warning", "FailedMount", str(error))
            await asyncio.sleep(_CONFIG_RETRY_S)
            return False
        except ConfigError as error:
            self.wait_state("CreateContainerConfigError", str(error))
            self.event("Warning", "Failed", f"Error: {error}")
            await asyncio.sleep(max(10 / self.context.time_scale, _CONFIG_RETRY_S))
            return False
        except ApiError:
            await asyncio.sleep(_CONFIG_RETRY_S)  # the API is away: the container waits as it is
            return False
        return True

    def _base_environment(self, image: Image) -> dict[str, str]:
        ports = self.spec.get("ports") or []
        base = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder / "work"), "LANG": "C.UTF-8"}
        base |= {"HOSTNAME": self.facts.pod["metadata"]["name"], "POD_IP": self.facts.ip}
        base |= {"PORT": str(ports[0]["containerPort"])} if ports else {}
        base |= self._volumes.environment()
        base |= {"PYTHONPATH": str(ROOT)} if image.files else {}
        return base | self.context.service_environment() | image.env

    def wait_state(self, reason: str, message: str) -> None:
        """It waits, and for what."""
        self.state.state = {"waiting": {"reason": reason, "message": message}}
        self.state.ready = self.state.started = False
        self.publish()

    # The start

    def group_name(self) -> str:
        """The name of the control group of the present run."""
        return self.state.container_id.rpartition("/")[2][:32]

    def _new_run(self) -> None:
        self._exchanged = False
        identity = f"{self.facts.pod['metadata']['uid']}/{self.name}/{self.state.restarts}"
        self.state.container_id = f"containerd://{hashlib.sha256(identity.encode()).hexdigest()}"
        self.event(
            "Normal",
            "Pulled",
            f'Container image "{self.spec["image"]}" already present on machine and can be accessed by the pod',
        )
        self.event("Normal", "Created", "Container created")

    def _start_pause(self, image: Image) -> None:
        self.pause = True
        self._new_run()
        self.event("Normal", "Started", "Container started")
        self.state.state = {"running": {"startedAt": now()}}
        self.state.started = True
        self.state.ready = "readinessProbe" not in self.spec  # nobody is there to answer one
        self.publish()

    async def _start(self, image: Image) -> bool:
        """Start its program; False when another image has been named since this one was pulled."""
        argv = [expand(word, self.env) for word in image.argv(self.spec)]
        spawn = await self.context.warm.way(image, argv, self.env, self.state.limit("memory"))
        if self.spec["image"] != image.reference:
            return False
        self._new_run()
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        self.log = Log(self.folder / f"{self.state.restarts}.log")
        self._drop_old_logs()
        descriptor = self.log.open()
        self.started_at = time.time()
        self.ended = asyncio.Event()
        group: Group | None = None
        try:
            memory, cpu = (self.state.limit(resource) for resource in ("memory", "cpu"))
            request = self.state.request("cpu")
            group = self.context.cgroups.make(self.group_name(), memory, cpu, cpu_request_cores=request)
            self.process = spawn(argv, self.env, work, descriptor, group)
        except OSError as error:
            if group is not None:
                group.remove()
            self._start_failed(argv, error)
            return True
        finally:
            os.close(descriptor)
        self._record(argv)
        self.context.watcher.add(self.log)
        self.event("Normal", "Started", "Container started")
        self.running(now())
        return True

    def _record(self, argv: list[str]) -> None:
        if self.process is not None:
            name = record_name(self.facts.pod, self.name)
            uid = self.facts.pod["metadata"]["uid"]
            pid, created = self.process.pid, self.process.create_time
            self.context.records.write(PodRecord(name, pid, created, argv, uid, self.name, self.state.restarts))

    def running(self, since: str) -> None:
        """The process runs: what its probes have to say is not known yet."""
        self.state.state = {"running": {"startedAt": since}}
        self.state.started = "startupProbe" not in self.spec
        self.state.ready = self.state.started and "readinessProbe" not in self.spec
        process, limit = self.process, self.state.limit("memory")
        if limit is not None and process is not None and not (process.group and "memory" in process.group.folders):
            self.context.limited[process] = int(limit)
        self.publish()

    def _start_failed(self, argv: list[str], error: OSError) -> None:
        text = f'failed to create task: exec: "{argv[0] if argv else ""}": {error.strerror or error}'
        self.event("Warning", "Failed", f"Error: {text}")
        self._terminated(128, "StartError", text)

    # Life and end

    async def _live(self, process: Process) -> None:
        """Probe the process until it ends, and note its end."""
        probing = Prober(self).start()
        try:
            code = await process.wait()
        finally:
            probing.cancel()
        await self._note_end(process, code)

    async def _note_end(self, process: Process, code: int) -> None:
        """Nothing of it is left when this returns."""
        for guest in self.guests:
            guest.signal(signal.SIGKILL)
        kills = process.group.oom_kills() if process.group else 0
        process.out_of_memory = process.out_of_memory or kills > 0
        await process.clear()
        self.oom_kills += max(kills, int(process.out_of_memory))
        self.context.limited.pop(process, None)
        self.context.records.erase(record_name(self.facts.pod, self.name))
        reason = "Completed" if code == 0 else "OOMKilled" if process.out_of_memory else "Error"
        self.process = None
        self._terminated(code, reason, "")

    def _terminated(self, code: int, reason: str, message: str) -> None:
        if self.log is not None:
            self.context.watcher.remove(self.log)
        ended = {"exitCode": code, "reason": reason, "startedAt": timestamp(self.started_at), "finishedAt": now()}
        ended |= {"containerID": self.state.container_id} | ({"message": message} if message else {})
        self.state.state = {"terminated": ended}
        self.state.ready = self.state.started = False
        self.ended.set()
        self.publish()

    def _restart_wanted(self) -> bool:
        return self._policy == "Always" or (self._policy == "OnFailure" and self.state.exit_code != 0)

    async def _back_off(self) -> None:
        """Wait as long as the number of crashes asks for."""
        delay_s = self._crashes.next_s(time.time() - self.started_at)
        if delay_s > 0:
            meta = self.facts.pod["metadata"]
            pod = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
            text = f"restarting failed container={self.name} pod={pod}"
            self.event("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {pod}")
            self.state.last_state = self.state.state
            self.wait_state("CrashLoopBackOff", f"back-off {go_duration(self._crashes.nominal_s)} {text}")
            await asyncio.sleep(delay_s)

    def _begin_next_run(self, ended: Object) -> None:
        self.state.last_state = ended
        self.state.restarts += 1

    def _drop_old_logs(self) -> None:
        old = self.state.restarts - _KEPT_LOGS
        for path in (self.folder / f"{old}.log", self.folder / f"{old}.log.times"):
            path.unlink(missing_ok=True)

    async def exchange(self, spec: Object, grace_s: float) -> None:
        """Another image in a running pod: end what runs, and have the other started; not counted as a crash."""
        self.spec, self.state.image, self._exchanged = spec, spec["image"], True
        if self.process is not None:
            self.event("Normal", "Killing", f"Container {self.name} definition changed, will be restarted")
            await self.process.stop(grace_s)
        elif self.pause:
            await self.stop(grace_s)
            self.pause = False
            self._begin_next_run(self.state.state)
            await self.run()

    async def stop(self, grace_s: float) -> None:
        """End the process within ``grace_s``; a container without one just ends."""
        process = self.process
        if process is not None:
            code = await process.stop(grace_s)
            await self._note_end(process, code)
        elif self.pause:
            self.started_at = time.time()
            self._terminated(0, "Completed", "")
