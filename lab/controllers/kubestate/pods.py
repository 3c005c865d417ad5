"""What a Pod says: phase, readiness, containers' states, restarts, requests and limits."""

from __future__ import annotations

from collections.abc import Iterator

from lab.controllers.kubestate.samples import Labels, Sample, by_status, moment, resources
from lab.objects import condition, controller_of
from lab.resources import Object

_CONTAINER = {
    "status_waiting": ("gauge", "Describes whether the container is currently in waiting state."),
    "status_waiting_reason": ("gauge", "Describes the reason the container is currently in waiting state."),
    "status_running": ("gauge", "Describes whether the container is currently in running state."),
    "status_terminated": ("gauge", "Describes whether the container is currently in terminated state."),
    "status_terminated_reason": ("gauge", "Describes the reason the container is currently in terminated state."),
    "status_last_terminated_reason": ("gauge", "Describes the last reason the container was in terminated state."),
    "status_last_terminated_exitcode": ("gauge", "Describes the exit code for the last container in terminated state."),
    "status_ready": ("gauge", "Describes whether the containers readiness check succeeded."),
    "status_restarts_total": ("counter", "The number of container restarts per container."),
    "resource_requests": ("gauge", "The number of requested request resource by a container."),
    "resource_limits": ("gauge", "The number of requested limit resource by a container."),
}
FAMILIES = {
    "kube_pod_info": ("gauge", "Information about pod."),
    "kube_pod_owner": ("gauge", "Information about the Pod's owner."),
    "kube_pod_created": ("gauge", "Unix creation timestamp."),
    "kube_pod_start_time": ("gauge", "Start time in unix timestamp for a pod."),
    "kube_pod_deletion_timestamp": ("gauge", "Unix deletion timestamp."),
    "kube_pod_restart_policy": ("gauge", "Describes the restart policy in use by this pod."),
    "kube_pod_status_phase": ("gauge", "The pods current phase."),
    "kube_pod_status_ready": ("gauge", "Describes whether the pod is ready to serve requests."),
    "kube_pod_status_scheduled": ("gauge", "Describes the status of the scheduling process for the pod."),
    "kube_pod_status_unschedulable": ("gauge", "Describes the unschedulable status for the pod."),
    "kube_pod_status_qos_class": ("gauge", "The pods current qosClass."),
    "kube_pod_container_info": ("gauge", "Information about a container in a pod."),
    "kube_pod_container_state_started": ("gauge", "Start time in unix timestamp for a pod container."),
    **{f"kube_pod_container_{name}": text for name, text in _CONTAINER.items()},
    **{f"kube_pod_init_container_{name}": text for name, text in _CONTAINER.items()},
}
_PHASES = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
_QOS = ("BestEffort", "Burstable", "Guaranteed")


def samples(pod: Object) -> Iterator[Sample]:
    """All samples of one pod."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    own = {"namespace": meta["namespace"], "pod": meta["name"], "uid": meta["uid"]}
    yield from _identity(pod, own)
    yield from moment("kube_pod_created", own, meta.get("creationTimestamp"))
    yield from moment("kube_pod_start_time", own, status.get("startTime"))
    yield from moment("kube_pod_deletion_timestamp", own, meta.get("deletionTimestamp"))
    yield "kube_pod_restart_policy", own | {"type": spec.get("restartPolicy", "Always")}, 1
    for phase in _PHASES if status.get("phase") else ():
        yield "kube_pod_status_phase", own | {"phase": phase}, status["phase"] == phase
    for kind in ("Ready", "Scheduled"):
        found = condition(pod, {"Scheduled": "PodScheduled"}.get(kind, kind))
        if found:
            yield from by_status(f"kube_pod_status_{kind.lower()}", own, "condition", found["status"])
            if found.get("reason") == "Unschedulable":
                yield "kube_pod_status_unschedulable", own, 1
    for name in _QOS if status.get("qosClass") else ():
        yield "kube_pod_status_qos_class", own | {"qos_class": name}, status["qosClass"] == name
    node = spec.get("nodeName", "")
    for prefix, kind in (("kube_pod_container", "container"), ("kube_pod_init_container", "initContainer")):
        for container in spec.get(f"{kind}s") or []:
            yield from _room(prefix, own | {"container": container["name"], "node": node}, container)
        for state in status.get(f"{kind}Statuses") or []:
            yield from _state(prefix, own | {"container": state["name"]}, state)
    images = {container["name"]: container.get("image", "") for container in spec["containers"]}
    for state in status.get("containerStatuses") or []:
        yield from _running(own | {"container": state["name"]}, state, images.get(state["name"], ""))


def _identity(pod: Object, own: Labels) -> Iterator[Sample]:
    spec, status, controller = pod["spec"], pod.get("status", {}), controller_of(pod) or {}
    yield (
        "kube_pod_info",
        own | {
            "host_ip": status.get("hostIP", ""),
            "pod_ip": status.get("podIP", ""),
            "node": spec.get("nodeName", ""),
            "created_by_kind": controller.get("kind", ""),
            "created_by_name": controller.get("name", ""),
            "priority_class": spec.get("priorityClassName", ""),
            "host_network": str(bool(spec.get("hostNetwork"))).lower(),
        },
        1,
    )  # fmt: skip
    for owner in pod["metadata"].get("ownerReferences") or [{}]:
        is_controller = str(bool(owner.get("controller"))).lower() if owner else ""
        about = {"owner_kind": owner.get("kind", ""), "owner_name": owner.get("name", "")}
        yield "kube_pod_owner", own | about | {"owner_is_controller": is_controller}, 1


def _room(prefix: str, own: Labels, container: Object) -> Iterator[Sample]:
    for kind in ("requests", "limits"):
        for name, unit, value in resources((container.get("resources") or {}).get(kind)):
            yield f"{prefix}_resource_{kind}", own | {"resource": name, "unit": unit}, value


def _state(prefix: str, own: Labels, state: Object) -> Iterator[Sample]:
    now, last = state.get("state") or {}, (state.get("lastState") or {}).get("terminated")
    for word in ("waiting", "running", "terminated"):
        yield f"{prefix}_status_{word}", own, word in now
        reason = (now.get(word) or {}).get("reason")
        if reason and word != "running":
            yield f"{prefix}_status_{word}_reason", own | {"reason": reason}, 1
    if last:
        yield f"{prefix}_status_last_terminated_exitcode", own, last["exitCode"]
        if last.get("reason"):
            yield f"{prefix}_status_last_terminated_reason", own | {"reason": last["reason"]}, 1
    yield f"{prefix}_status_ready", own, bool(state.get("ready"))
    yield f"{prefix}_status_restarts_total", own, state.get("restartCount", 0)


def _running(own: Labels, state: Object, image_spec: str) -> Iterator[Sample]:
    about = {"image_spec": image_spec, "image": state.get("image", ""), "image_id": state.get("imageID", "")}
    yield "kube_pod_container_info", own | about | {"container_id": state.get("containerID", "")}, 1
    started = (state.get("state", {}).get("running") or {}).get("startedAt")
    yield from moment("kube_pod_container_state_started", own, started)
