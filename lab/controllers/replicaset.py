"""The ReplicaSet controller: as many pods as asked for, no more and no fewer."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Sequence

from lab.client import Client
from lab.controllers.ownership import claim
from lab.controllers.work import Controller, Informers
from lab.errors import ApiError
from lab.objects import (
    annotations_of,
    condition,
    controller_of,
    epoch,
    is_deleting,
    key_of,
    labels_of,
    matches,
    now,
    owner_reference,
    pod_active,
    pod_phase,
    pod_ready,
)
from lab.recorder import Recorder
from lab.resources import PODS, REPLICASETS, Object

_BURST = 500  # pods created or deleted in one look
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class ReplicaSetController(Controller):
    """Creates and deletes pods; which ones go first follows Kubernetes' own ranking."""

    name = "replicaset-controller"

    def __init__(self, client: Client, informers: Informers, recorder: Recorder) -> None:
        super().__init__(client, informers, recorder)
        self._sets = self.on_change(REPLICASETS, self._set_changed)
        self._pods = self.on_change(PODS, self._pod_changed)

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        self.enqueue(key_of(new or old or {}))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        for pod in (old, new):
            controller = controller_of(pod) if pod else None
            if pod and controller and controller["kind"] == "ReplicaSet":
                self.enqueue(f"{pod['metadata']['namespace']}/{controller['name']}")
        if new is not None and controller_of(new) is None:
            for candidate in self._sets.items(new["metadata"]["namespace"]):
                if matches(candidate["spec"]["selector"], labels_of(new)):
                    self.enqueue(key_of(candidate))

    async def sync(self, key: str) -> None:
        """Create or delete pods until their number is right, then write the status."""
        replica_set = self._sets.by_key(key)
        if replica_set is None:
            return
        mine = await claim(self.client, self._pods, replica_set, self._pods.items(replica_set["metadata"]["namespace"]))
        failure: ApiError | None = None
        if not is_deleting(replica_set):
            try:
                mine = await self._manage(replica_set, mine)
            except ApiError as error:
                failure = error
                mine = self._owned(replica_set)
        await self._write_status(replica_set, mine, failure)
        if failure is not None:
            raise failure

    def _owned(self, replica_set: Object) -> list[Object]:
        uid = replica_set["metadata"]["uid"]
        pods = self._pods.items(replica_set["metadata"]["namespace"])
        return [pod for pod in pods if (controller_of(pod) or {}).get("uid") == uid]

    async def _manage(self, replica_set: Object, mine: list[Object]) -> list[Object]:
        active = [pod for pod in mine if pod_active(pod)]
        missing = replica_set["spec"].get("replicas", 1) - len(active)
        if missing > 0:
            await self._create(replica_set, min(missing, _BURST))
        elif missing < 0:
            await self._delete(replica_set, sorted(active, key=deletion_rank)[: min(-missing, _BURST)])
        return self._owned(replica_set) if missing else mine

    async def _create(self, replica_set: Object, count: int) -> None:
        """Create in batches of 1, 2, 4...: a pod that is refused is refused once, not five hundred times."""
        batch = 1
        while count > 0:
            size = min(batch, count)
            results = await asyncio.gather(
                *(self._create_one(replica_set) for _ in range(size)), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            count -= size
            batch *= 2

    async def _create_one(self, replica_set: Object) -> None:
        meta, template = replica_set["metadata"], copy.deepcopy(replica_set["spec"]["template"])
        pod_meta = {
            key: value for key, value in template.get("metadata", {}).items() if key in ("labels", "annotations")
        }
        pod_meta |= {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]}
        pod_meta["ownerReferences"] = [owner_reference(replica_set)]
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": template["spec"]}
        try:
            pod = await self.client.create(PODS, body)
        except ApiError as error:
            if not error.unreachable:
                self.recorder.record(replica_set, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self._pods.learn(pod)
        self.recorder.record(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    async def _delete(self, replica_set: Object, pods: Sequence[Object]) -> None:
        await asyncio.gather(*(self._delete_one(replica_set, pod) for pod in pods))

    async def _delete_one(self, replica_set: Object, pod: Object) -> None:
        meta = pod["metadata"]
        try:
            answer = await self.client.delete(PODS, meta["namespace"], meta["name"], uid=meta["uid"])
        except ApiError as error:
            if error.not_found or error.conflict:  # already gone, or another pod of that name
                return
            self.recorder.record(replica_set, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        if answer.get("kind") == "Pod" and is_deleting(answer):
            self._pods.learn(answer)
        self.recorder.record(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {meta['name']}")

    async def _write_status(self, replica_set: Object, mine: list[Object], failure: ApiError | None) -> None:
        min_ready_s = replica_set["spec"].get("minReadySeconds") or 0
        status, next_look_s = compute_status(replica_set, mine, min_ready_s)
        conditions = _conditions(replica_set, failure)
        if conditions:
            status["conditions"] = conditions
        if next_look_s is not None:
            self.enqueue_after(key_of(replica_set), next_look_s)
        if status != replica_set.get("status"):
            changed = await self.client.update(REPLICASETS, replica_set | {"status": status}, subresource="status")
            self._sets.learn(changed)


def compute_status(replica_set: Object, mine: list[Object], min_ready_s: int) -> tuple[Object, float | None]:
    """The status of a ReplicaSet with these pods, and in how many seconds a ready pod will become available."""
    active = [pod for pod in mine if pod_active(pod)]
    wanted = labels_of(replica_set["spec"]["template"]) if "metadata" in replica_set["spec"]["template"] else {}
    ready = [pod for pod in active if pod_ready(pod)]
    waits = [_until_available(pod, min_ready_s) for pod in ready]
    status: Object = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(1 for pod in active if wanted.items() <= labels_of(pod).items()),
        "readyReplicas": len(ready),
        "availableReplicas": sum(1 for wait in waits if wait <= 0),
    }
    status = {key: value for key, value in status.items() if value or key == "replicas"}
    status["terminatingReplicas"] = sum(
        1 for pod in mine if is_deleting(pod) and pod_phase(pod) not in ("Succeeded", "Failed")
    )
    status["observedGeneration"] = replica_set["metadata"]["generation"]
    return status, min((wait for wait in waits if wait > 0), default=None)


def _until_available(pod: Object, min_ready_s: int) -> float:
    if not min_ready_s:
        return 0.0
    ready = condition(pod, "Ready") or {}
    return epoch(ready["lastTransitionTime"]) + min_ready_s - time.time() if ready.get("lastTransitionTime") else 0.0


def _conditions(replica_set: Object, failure: ApiError | None) -> list[Object]:
    """The present conditions with ReplicaFailure brought up to date."""
    others = [c for c in replica_set.get("status", {}).get("conditions") or [] if c["type"] != "ReplicaFailure"]
    if failure is None:
        return others
    known = condition(replica_set, "ReplicaFailure")
    if known is None or known["status"] != "True":
        known = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": now()}
        known |= {"reason": "FailedCreate", "message": failure.message}
    return [*others, known]


def deletion_rank(pod: Object) -> tuple[int, int, int, int, float, int, float]:
    """A sort key: the pods that are missed least come first.

    Unassigned, then pending, then not ready, then cheap by annotation, then shortest ready, most restarts, youngest.
    """
    phase = {"Pending": 0, "Unknown": 1, "Running": 2}.get(pod_phase(pod), 0)
    ready = condition(pod, "Ready") if pod_ready(pod) else None
    ready_since = epoch(ready["lastTransitionTime"]) if ready and ready.get("lastTransitionTime") else 0.0
    restarts = max((c["restartCount"] for c in pod.get("status", {}).get("containerStatuses") or []), default=0)
    try:
        cost = int(annotations_of(pod).get(_DELETION_COST, "0"))
    except ValueError:
        cost = 0
    return (
        1 if pod["spec"].get("nodeName") else 0,
        phase,
        1 if ready else 0,
        cost,
        -ready_since,
        -restarts,
        -epoch(pod["metadata"]["creationTimestamp"]),
    )
