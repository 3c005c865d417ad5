"""The Deployment controller: rolling update, recreate, pause, scaling, revisions and conditions."""

from __future__ import annotations

import copy

from lab.client import Client
from lab.controllers import arithmetic, progress, revisions
from lab.controllers.ownership import claim
from lab.controllers.rollout import Rollout
from lab.controllers.work import Controller, Informers
from lab.errors import ApiError
from lab.objects import (
    annotations_of,
    condition,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    matches,
    pod_phase,
)
from lab.recorder import Recorder
from lab.resources import DEPLOYMENTS, PODS, REPLICASETS, Object

_TIMER_SLACK_S = 0.05


class DeploymentController(Controller):
    """Moves a Deployment's pods to its present template through ReplicaSets, as Kubernetes' own controller does."""

    name = "deployment-controller"

    def __init__(self, client: Client, informers: Informers, recorder: Recorder) -> None:
        super().__init__(client, informers, recorder)
        self._deployments = self.on_change(DEPLOYMENTS, lambda old, new: self.enqueue(key_of(new or old or {})))
        self._sets = self.on_change(REPLICASETS, self._set_changed)
        self._pods = self.on_change(PODS, self._pod_changed)

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        for item in (old, new):
            controller = controller_of(item) if item else None
            if item and controller and controller["kind"] == "Deployment":
                self.enqueue(f"{item['metadata']['namespace']}/{controller['name']}")
        if new is not None and controller_of(new) is None:
            for deployment in self._deployments.items(new["metadata"]["namespace"]):
                if matches(deployment["spec"]["selector"], labels_of(new)):
                    self.enqueue(key_of(deployment))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Recreate starts the new pods when the last old pod is gone."""
        owner = controller_of(old) if old and new is None else None
        parent = self._sets.get(old["metadata"]["namespace"], owner["name"]) if old and owner else None
        controller = controller_of(parent) if parent else None
        if parent and controller:
            self.enqueue(f"{parent['metadata']['namespace']}/{controller['name']}")

    async def sync(self, key: str) -> None:
        """Take the next step of this deployment's rollout and write its status."""
        known = self._deployments.by_key(key)
        if known is None:
            return
        deployment = copy.deepcopy(known)
        sets = await claim(self.client, self._sets, deployment, self._sets.items(deployment["metadata"]["namespace"]))
        new = revisions.find_new(deployment, sets)
        old = [item for item in sets if new is None or item["metadata"]["uid"] != new["metadata"]["uid"]]
        rollout = Rollout(deployment, old, new)
        if is_deleting(deployment):
            await self._write_status(rollout, progress.counted(deployment, rollout.sets, new))
            return
        await self._note_pause(rollout)
        if deployment["spec"].get("paused") or arithmetic.is_scaling(deployment, sets):
            await self._scale(rollout)
        elif arithmetic.is_rolling(deployment):
            await self._roll(rollout)
        else:
            await self._recreate(rollout)

    async def _note_pause(self, rollout: Rollout) -> None:
        deployment = rollout.deployment
        known = condition(deployment, "Progressing")
        if progress.deadline_s(deployment) is None or (known and known["reason"] == "ProgressDeadlineExceeded"):
            return
        paused, noted = bool(deployment["spec"].get("paused")), bool(known and known["reason"] == "DeploymentPaused")
        if paused == noted:
            return
        status = copy.deepcopy(deployment.get("status") or {})
        word, text = ("DeploymentPaused", "paused") if paused else ("DeploymentResumed", "resumed")
        progress.set_condition(status, progress.make("Progressing", "Unknown", word, f"Deployment is {text}"))
        await self._write_status(rollout, status)

    # Scaling and pause

    async def _scale(self, rollout: Rollout) -> None:
        await self._adopt_revision(rollout, create=False)
        deployment = rollout.deployment
        wanted = deployment["spec"]["replicas"]
        only = arithmetic.active_or_latest(rollout.new, rollout.old)
        if only is not None:
            await self._resize(rollout, only, wanted)
        elif arithmetic.is_saturated(deployment, rollout.new):
            for item in [item for item in rollout.old if arithmetic.size(item) > 0]:
                await self._resize(rollout, item, 0)
        elif arithmetic.is_rolling(deployment):
            sizes = arithmetic.proportional(deployment, rollout.sets)
            for item in [item for item in rollout.sets if item["metadata"]["name"] in sizes]:
                await self._resize(rollout, item, sizes[item["metadata"]["name"]])
        if deployment["spec"].get("paused"):
            await self._clean_up(rollout)
        await self._write_status(rollout, progress.counted(deployment, rollout.sets, rollout.new))

    # Strategies

    async def _roll(self, rollout: Rollout) -> None:
        new = await self._adopt_revision(rollout, create=True)
        if new is None:
            return
        deployment = rollout.deployment
        replicas = deployment["spec"]["replicas"]
        target = min(arithmetic.new_set_size(deployment, rollout.sets, new), replicas)
        if arithmetic.size(new) != target:
            await self._resize(rollout, new, target)
        else:
            for name, count in arithmetic.shrink_old(deployment, rollout.old, new).items():
                item = next(item for item in rollout.old if item["metadata"]["name"] == name)
                await self._resize(rollout, item, count)
        await self._finish(rollout)

    async def _recreate(self, rollout: Rollout) -> None:
        await self._adopt_revision(rollout, create=False)
        for item in [item for item in rollout.old if arithmetic.size(item) > 0]:
            await self._resize(rollout, item, 0)
        if not self._old_pods_left(rollout):
            new = await self._adopt_revision(rollout, create=True)
            if new is None:
                return
            await self._resize(rollout, new, rollout.deployment["spec"]["replicas"])
        await self._finish(rollout)

    def _old_pods_left(self, rollout: Rollout) -> bool:
        owners = {item["metadata"]["uid"] for item in rollout.old}
        return arithmetic.total(rollout.old, "replicas") > 0 or any(
            (controller_of(pod) or {}).get("uid") in owners and pod_phase(pod) not in ("Succeeded", "Failed")
            for pod in self._pods.items(rollout.deployment["metadata"]["namespace"])
        )

    async def _finish(self, rollout: Rollout) -> None:
        deployment = rollout.deployment
        if progress.is_complete(deployment, deployment.get("status", {})):
            await self._clean_up(rollout)
        await self._write_status(rollout, progress.rolled_out(deployment, rollout.sets, rollout.new))
        left_s = progress.seconds_left(deployment)
        if left_s is not None:
            self.enqueue_after(key_of(deployment), max(left_s, 0.0) + _TIMER_SLACK_S)

    # Revisions

    async def _adopt_revision(self, rollout: Rollout, *, create: bool) -> Object | None:
        """Number the new ReplicaSet, creating it if asked to; None when another look is needed first."""
        deployment = rollout.deployment
        revision = max((revisions.revision_of(item) for item in rollout.old), default=0) + 1
        if rollout.new is None:
            return await self._create_set(rollout, revision) if create else None
        changed = copy.deepcopy(rollout.new)
        dirty = revisions.annotate(deployment, changed, revision)
        min_ready_s = deployment["spec"].get("minReadySeconds") or 0
        if (changed["spec"].get("minReadySeconds") or 0) != min_ready_s:
            changed["spec"]["minReadySeconds"] = min_ready_s
            dirty = True
        if dirty:
            rollout.replace(await self._update_set(changed))
        name = rollout.new["metadata"]["name"]
        await self._note_revision(rollout, "FoundNewReplicaSet", f'Found new replica set "{name}"', replace=False)
        return rollout.new

    async def _create_set(self, rollout: Rollout, revision: int) -> Object | None:
        deployment = rollout.deployment
        surge = arithmetic.fence_posts(deployment)[0]
        replicas = arithmetic.new_set_size(deployment, rollout.old, None)
        body = revisions.new_set(deployment, revision, replicas, deployment["spec"]["replicas"] + surge)
        name = body["metadata"]["name"]
        try:
            rollout.new = await self.client.create(REPLICASETS, body)
        except ApiError as error:
            if error.already_exists:
                await self._collide(rollout, name)
            else:
                await self._creation_failed(rollout, name, error)
            raise
        self._sets.learn(rollout.new)
        if replicas > 0:
            self.recorder.record(
                deployment, "Normal", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {replicas}"
            )
        await self._note_revision(rollout, "NewReplicaSetCreated", f'Created new replica set "{name}"', replace=True)
        return rollout.new

    async def _collide(self, rollout: Rollout, name: str) -> None:
        """The name belongs to another template: count the collision, so that the next attempt gets another name."""
        deployment = rollout.deployment
        taken = await self.client.get(REPLICASETS, deployment["metadata"]["namespace"], name)
        self._sets.learn(taken)
        ours = (controller_of(taken) or {}).get("uid") == deployment["metadata"]["uid"]
        if ours and revisions.same_template(taken["spec"]["template"], deployment["spec"]["template"]):
            return  # we made it ourselves and had not seen it yet
        status = copy.deepcopy(deployment.get("status") or {})
        status["collisionCount"] = (status.get("collisionCount") or 0) + 1
        await self._write_status(rollout, status)

    async def _creation_failed(self, rollout: Rollout, name: str, error: ApiError) -> None:
        deployment = rollout.deployment
        message = f'Failed to create new replica set "{name}": {error.message}'
        if error.unreachable:
            return
        self.recorder.record(deployment, "Warning", "ReplicaSetCreateError", message)
        if progress.deadline_s(deployment) is not None:
            status = copy.deepcopy(deployment.get("status") or {})
            progress.set_condition(status, progress.make("Progressing", "False", "ReplicaSetCreateError", message))
            await self._write_status(rollout, status)

    async def _note_revision(self, rollout: Rollout, reason: str, message: str, *, replace: bool) -> None:
        deployment = rollout.deployment
        status = copy.deepcopy(deployment.get("status") or {})
        has_deadline = progress.deadline_s(deployment) is not None
        if has_deadline and (replace or condition(deployment, "Progressing") is None):
            progress.set_condition(status, progress.make("Progressing", "True", reason, message))
        number = annotations_of(rollout.new or {"metadata": {}}).get(revisions.REVISION, "")
        if annotations_of(deployment).get(revisions.REVISION) != number:
            deployment["metadata"].setdefault("annotations", {})[revisions.REVISION] = number
            await self._write_status(rollout, status, force=True)
            await self._ensure_annotation(rollout, number)
        else:
            await self._write_status(rollout, status)

    async def _ensure_annotation(self, rollout: Rollout, number: str) -> None:
        """Kubernetes lets annotations through with a status write; where a server does not, write them themselves."""
        deployment = rollout.deployment
        if annotations_of(deployment).get(revisions.REVISION) == number:
            return
        meta = deployment["metadata"]
        body = {"metadata": {"uid": meta["uid"], "annotations": {revisions.REVISION: number}}}
        changed = await self.client.patch(DEPLOYMENTS, meta["namespace"], meta["name"], body)
        self._deployments.learn(changed)
        rollout.deployment = copy.deepcopy(changed)

    # Writes

    async def _resize(self, rollout: Rollout, replica_set: Object, count: int) -> None:
        before = arithmetic.size(replica_set)
        deployment = rollout.deployment
        wanted = deployment["spec"]["replicas"]
        sizes = revisions.size_annotations(wanted, wanted + arithmetic.fence_posts(deployment)[0])
        if before == count and sizes.items() <= annotations_of(replica_set).items():
            return
        changed = copy.deepcopy(replica_set)
        changed["spec"]["replicas"] = count
        changed["metadata"].setdefault("annotations", {}).update(sizes)
        rollout.replace(await self._update_set(changed))
        if before != count:
            way = "up" if count > before else "down"
            name = replica_set["metadata"]["name"]
            message = f"Scaled {way} replica set {name} from {before} to {count}"
            self.recorder.record(deployment, "Normal", "ScalingReplicaSet", message)

    async def _update_set(self, changed: Object) -> Object:
        result = await self.client.update(REPLICASETS, changed)
        self._sets.learn(result)
        return result

    async def _clean_up(self, rollout: Rollout) -> None:
        """Delete the oldest empty ReplicaSets beyond revisionHistoryLimit."""
        for item in rollout.forgettable():
            meta = item["metadata"]
            try:
                await self.client.delete(REPLICASETS, meta["namespace"], meta["name"], uid=meta["uid"])
            except ApiError as error:
                if not error.not_found:
                    raise

    async def _write_status(self, rollout: Rollout, status: Object, *, force: bool = False) -> None:
        deployment = rollout.deployment
        if status == deployment.get("status", {}) and not force:
            return
        changed = await self.client.update(DEPLOYMENTS, deployment | {"status": status}, subresource="status")
        self._deployments.learn(changed)
        rollout.deployment = copy.deepcopy(changed)
