"""What a new agent makes of containers that an earlier one started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.agent import process as processes
from lab.agent.logs import Log
from lab.objects import now, timestamp

if TYPE_CHECKING:
    from lab.agent.container import Container
    from lab.agent.process import Process

Object = dict[str, Any]


def take_over(container: Container, process: Process, known: Object, restart: int) -> None:
    """Go on with a process that runs, in the state which the earlier agent last wrote."""
    container.process = process
    container.started_at = process.create_time
    state = container.state
    state.image = known.get("image", state.image)  # of what runs; the pod may ask for another by now
    container.spec = container.spec | {"image": state.image}
    state.restarts = restart
    state.image_id = known.get("imageID", "")
    state.container_id = known.get("containerID", "")
    state.last_state = known.get("lastState") or {}
    process.group = container.context.cgroups.find(container.group_name())
    container.log = Log(container.folder / f"{restart}.log")
    container.context.watcher.add(container.log)
    container.running(known.get("state", {}).get("running", {}).get("startedAt") or timestamp(process.create_time))
    state.started = state.started or bool(known.get("started"))
    state.ready = state.ready or bool(known.get("ready"))


def lost(container: Container, known: Object) -> None:
    """It is gone: this run is a restart."""
    state = container.state
    state.restarts = int(known.get("restartCount", 0))
    if "waiting" in known.get("state", {}):
        state.last_state = known.get("lastState") or {}
        return
    ended = known.get("state", {}).get("terminated") or {
        "exitCode": processes.UNKNOWN_EXIT,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
        "startedAt": known.get("state", {}).get("running", {}).get("startedAt"),
        "finishedAt": now(),
    }
    state.restarts += 1
    state.last_state = {"terminated": ended}
