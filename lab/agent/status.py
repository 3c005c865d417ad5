"""What a kubelet writes into ``pod.status``. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lab.objects import condition, now, quantity

Object = dict[str, Any]
_OURS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass
class ContainerState:
    """One container as it is now; ``state`` and ``last_state`` are the API's own."""

    name: str
    image: str
    resources: Object = field(default_factory=dict)
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Object = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restarts: int = 0
    image_id: str = ""
    container_id: str = ""

    @property
    def exit_code(self) -> int | None:
        """The exit code of a container that has ended."""
        ended = self.state.get("terminated")
        return ended["exitCode"] if ended else None

    def limit(self, resource: str) -> float | None:
        """Its limit of ``memory`` (bytes) or ``cpu`` (cores)."""
        limit = (self.resources.get("limits") or {}).get(resource)
        return None if limit is None else quantity(limit)

    def request(self, resource: str) -> float:
        """Its request of ``memory`` (bytes) or ``cpu`` (cores); 0 without one."""
        return quantity((self.resources.get("requests") or {}).get(resource) or 0)

    def body(self) -> Object:
        """Its entry in ``containerStatuses``."""
        running = "running" in self.state
        body = {
            "name": self.name,
            "image": self.image,
            "imageID": self.image_id,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready and running,
            "started": self.started and running,
            "restartCount": self.restarts,
        }
        if self.container_id:
            body["containerID"] = self.container_id
        if running and self.resources:
            body["resources"] = self.resources
            if self.resources.get("requests"):
                body["allocatedResources"] = self.resources["requests"]
        return body


@dataclass
class PodState:
    """One pod as it is now."""

    ip: str
    host_ip: str
    start_time: str
    containers: list[ContainerState]
    init_containers: list[ContainerState] = field(default_factory=list)
    sandbox: bool = False
    phase: str = "Pending"
    reason: str = ""
    message: str = ""

    def body(self, pod: Object) -> Object:
        """The status for this pod; conditions that are not a kubelet's are kept."""
        body: Object = {
            "observedGeneration": pod["metadata"].get("generation", 1),
            "phase": self.phase,
            "conditions": self._conditions(pod),
            "hostIP": self.host_ip,
            "hostIPs": [{"ip": self.host_ip}],
            "startTime": self.start_time,
            "qosClass": pod.get("status", {}).get("qosClass") or qos_class(pod["spec"]),
            "containerStatuses": [container.body() for container in self.containers],
        }
        if self.init_containers:
            body["initContainerStatuses"] = [container.body() for container in self.init_containers]
        if self.ip:
            body |= {"podIP": self.ip, "podIPs": [{"ip": self.ip}]}
        return body | {key: value for key, value in (("reason", self.reason), ("message", self.message)) if value}

    def _conditions(self, pod: Object) -> list[Object]:
        known = {entry["type"]: entry for entry in pod.get("status", {}).get("conditions") or []}
        over = self.phase in ("Succeeded", "Failed")
        completed = ("PodCompleted", "") if self.phase == "Succeeded" else ("PodFailed", "")
        unready = [container.name for container in self.containers if not container.body()["ready"]]
        listed = f"containers with unready status: [{' '.join(unready)}]"
        containers_ready = not unready and not over
        not_ready = completed if over else ("ContainersNotReady", listed)
        gates = _closed_gates(pod) if containers_ready else ""
        initialized = over or all(container.exit_code == 0 for container in self.init_containers)
        uninitialized = [container.name for container in self.init_containers if container.exit_code != 0]
        incomplete = f"containers with incomplete status: [{' '.join(uninitialized)}]"
        wanted = [
            ("PodReadyToStartContainers", self.sandbox and not over, "", ""),
            ("Initialized", initialized, *_why_initialized(self.phase, incomplete if not initialized else "")),
            ("Ready", containers_ready and not gates, *(("ReadinessGatesNotReady", gates) if gates else not_ready)),
            ("ContainersReady", containers_ready, *not_ready),
            ("PodScheduled", True, "", ""),
        ]
        generation = pod["metadata"].get("generation", 1)
        result = [_condition(known, generation, entry) for entry in wanted]
        return result + [entry for kind, entry in known.items() if kind not in _OURS]


def _why_initialized(phase: str, incomplete: str) -> tuple[str, str]:
    if incomplete:
        return "ContainersNotInitialized", incomplete
    return ("PodCompleted", "") if phase == "Succeeded" else ("", "")


def _condition(known: dict[str, Object], generation: int, wanted: tuple[str, bool, str, str]) -> Object:
    kind, holds, reason, message = wanted
    status = "True" if holds else "False"
    before = known.get(kind)
    same = before is not None and before["status"] == status
    moment = (before or {}).get("lastTransitionTime") if same else None
    entry: Object = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": moment or now()}
    entry["observedGeneration"] = generation
    if (not holds or kind == "Initialized") and reason:
        entry |= {"reason": reason} | ({"message": message} if message else {})
    return entry


def _closed_gates(pod: Object) -> str:
    texts = []
    for gate in pod["spec"].get("readinessGates") or []:
        kind = gate["conditionType"]
        found = condition(pod, kind)
        if found is None:
            texts.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found["status"] != "True":
            texts.append(f'the status of pod readiness gate "{kind}" is not "True", but {found["status"]}')
    return ", ".join(texts)


def phase_of(spec: Object, containers: Iterable[ContainerState]) -> str:
    """The phase that follows from the containers of a pod that is not being deleted."""
    states = list(containers)
    policy = spec.get("restartPolicy", "Always")
    ended = [state for state in states if state.exit_code is not None]
    over = len(ended) == len(states)
    if over and policy != "Always":
        if all(state.exit_code == 0 for state in ended):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    begun = all(state.container_id for state in states)
    return "Running" if begun else "Pending"


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort by the containers' cpu and memory."""
    guaranteed, any_set = True, False
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            limit, request = limits.get(name), requests.get(name, limits.get(name))
            any_set |= limit is not None or request is not None
            guaranteed &= limit is not None and request is not None and quantity(limit) == quantity(request)
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
