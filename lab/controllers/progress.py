"""What a Deployment's status says: counts, Available, Progressing, ReplicaFailure. No I/O."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

from lab.controllers.arithmetic import available, fence_posts, size, total
from lab.objects import condition, epoch, now
from lab.resources import Object

_FOREVER = 2**31 - 1


def deadline_s(deployment: Object) -> int | None:
    """The progress deadline in seconds, None when there is none."""
    value = deployment["spec"].get("progressDeadlineSeconds")
    return None if value is None or value == _FOREVER else int(value)


def make(kind: str, status: str, reason: str, message: str) -> Object:
    """A fresh condition."""
    moment = now()
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def set_condition(status: Object, fresh: Object, *, refresh: bool = False) -> None:
    """Put ``fresh`` last among the conditions; the same status and reason are kept as they are unless ``refresh``."""
    known = condition({"status": status}, fresh["type"])
    if known is not None:
        if known["status"] == fresh["status"]:
            if known["reason"] == fresh["reason"] and not refresh:
                return
            fresh = fresh | {"lastTransitionTime": known["lastTransitionTime"]}
        remove_condition(status, fresh["type"])
    status.setdefault("conditions", []).append(fresh)


def remove_condition(status: Object, kind: str) -> None:
    """Drop the condition of this type."""
    if "conditions" in status:
        status["conditions"] = [entry for entry in status["conditions"] if entry["type"] != kind]
        if not status["conditions"]:
            del status["conditions"]


def counted(deployment: Object, sets: Sequence[Object], new: Object | None) -> Object:
    """The status that follows from the ReplicaSets, with Available; Progressing stays as it was."""
    ready_to_serve = sum(available(item) for item in sets)
    counts = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": total(sets, "replicas"),
        "updatedReplicas": total([new], "replicas") if new else 0,
        "readyReplicas": total(sets, "readyReplicas"),
        "availableReplicas": ready_to_serve,
        "unavailableReplicas": max(0, sum(size(item) for item in sets) - ready_to_serve),
    }
    status: Object = {key: value for key, value in counts.items() if value}
    status["terminatingReplicas"] = total(sets, "terminatingReplicas")
    before = deployment.get("status", {})
    if before.get("collisionCount"):
        status["collisionCount"] = before["collisionCount"]
    if before.get("conditions"):
        status["conditions"] = copy.deepcopy(before["conditions"])
    enough = ready_to_serve >= deployment["spec"]["replicas"] - fence_posts(deployment)[1]
    set_condition(
        status,
        make("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else make("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    )
    return status


def rolled_out(deployment: Object, sets: Sequence[Object], new: Object | None) -> Object:
    """The status during a rollout: :func:`counted`, and what became of its progress."""
    status = counted(deployment, sets, new)
    if deadline_s(deployment) is None:
        remove_condition(status, "Progressing")
    else:
        _judge_progress(deployment, status, new)
    failures = [c for item in (new, *sets) if item and (c := condition(item, "ReplicaFailure"))]
    if failures:
        worst = failures[0]
        set_condition(status, make("ReplicaFailure", worst["status"], worst["reason"], worst["message"]))
    else:
        remove_condition(status, "ReplicaFailure")
    return status


def _judge_progress(deployment: Object, status: Object, new: Object | None) -> None:
    before = deployment.get("status", {})
    known = condition(deployment, "Progressing")
    if (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and known is not None
        and known["reason"] == "NewReplicaSetAvailable"
    ):
        return
    what = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if is_complete(deployment, status):
        message = f"{what} has successfully progressed."
        set_condition(status, make("Progressing", "True", "NewReplicaSetAvailable", message))
    elif _advanced(before, status):
        set_condition(status, make("Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing."), refresh=True)
    elif timed_out(deployment):
        message = f"{what} has timed out progressing."
        set_condition(status, make("Progressing", "False", "ProgressDeadlineExceeded", message))


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether only the new pods are left, and all of them are available."""
    replicas = deployment["spec"]["replicas"]
    counts = (status.get("updatedReplicas", 0), status.get("replicas", 0), status.get("availableReplicas", 0))
    observed = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return observed and counts == (replicas, replicas, replicas)


def _advanced(before: Object, after: Object) -> bool:
    def old_pods(status: Object) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grew = any(
        after.get(field, 0) > before.get(field, 0)
        for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grew or old_pods(after) < old_pods(before)


def timed_out(deployment: Object) -> bool:
    """Whether the rollout made no progress for its deadline."""
    known = condition(deployment, "Progressing")
    if known is None or known["reason"] == "NewReplicaSetAvailable":
        return False
    if known["reason"] == "ProgressDeadlineExceeded":
        return True
    left = seconds_left(deployment)
    return left is not None and left < 0


def seconds_left(deployment: Object) -> float | None:
    """Seconds until an unfinished rollout exceeds its deadline; None when nothing has to be awaited."""
    known, limit_s = condition(deployment, "Progressing"), deadline_s(deployment)
    if known is None or limit_s is None:
        return None
    if known["reason"] == "ProgressDeadlineExceeded" or is_complete(deployment, deployment.get("status", {})):
        return None
    return epoch(known["lastUpdateTime"]) + limit_s - time.time()
