"""Brings every Chaos Mesh object's records to the phase that is wanted, and says so in its status."""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import Any

from lab.chaos import status
from lab.chaos.faults import Faults, NodeAgent, Order
from lab.chaos.spec import GROUP, KINDS, NETWORK, STRESS, SpecError, read
from lab.chaos.targets import select
from lab.client import JSON_PATCH
from lab.controllers.work import Controller, Informers
from lab.errors import ApiError, LabError
from lab.objects import is_deleting, key_of
from lab.recorder import Recorder
from lab.resources import Resource

Object = dict[str, Any]
_RETRY_S = 0.5
_LOOK_S = 1.0  # for the kinds, which may come after us
_log = logging.getLogger(__name__)


class ChaosController(Controller):
    """Works on keys ``plural/namespace/name``; the faults are in force while it runs."""

    name = "chaos-mesh"

    def __init__(self, node: NodeAgent, recorder: Recorder) -> None:
        super().__init__(node.client, Informers(node.client), recorder)
        self._node = node
        self._faults = Faults(node)
        self._uids: dict[str, str] = {}
        self._complaints: dict[str, str] = {}
        self._forgetting: set[asyncio.Task[None]] = set()
        self._subresource: dict[str, str | None] = {}
        for resource in KINDS:
            self.informers.of(resource)

    async def run(self) -> None:
        """Wait until the kinds are served, then work until cancelled; then every fault ends with us."""
        try:
            await self._await_kinds()
            for resource in KINDS:
                self._follow(resource)
            self._node.known.on_change(self._pod_changed)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.informers.run())
                tasks.create_task(super().run())
        finally:
            await self._faults.close()

    async def _await_kinds(self) -> None:
        wanted = {resource.plural for resource in KINDS}
        while True:
            try:
                served = await self.client.request("GET", f"/apis/{GROUP}")
                if wanted <= {each["name"] for each in served["resources"]}:
                    return
            except ApiError as error:
                if not (error.not_found or error.unreachable):
                    _log.warning("the kinds of Chaos Mesh: %s", error)
            await asyncio.sleep(_LOOK_S)

    def _follow(self, resource: Resource) -> None:
        def changed(old: Object | None, new: Object | None) -> None:
            self.enqueue(f"{resource.plural}/{key_of(new or old or {})}")

        self.on_change(resource, changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is None:
            task = asyncio.ensure_future(self._faults.network.forget(key_of(old)))
            self._forgetting.add(task)
            task.add_done_callback(self._forgetting.discard)

    # One object

    async def sync(self, key: str) -> None:
        """Take one object as far as it can go now."""
        plural, _, name = key.partition("/")
        resource = next(each for each in KINDS if each.plural == plural)
        item = self.informers.of(resource).by_key(name)
        if item is None:  # deleted, perhaps by force
            await self._forget(key)
            return
        self._uids[key] = item["metadata"]["uid"]
        try:
            if not is_deleting(item):
                item = await self._finalizers(resource, item, [status.FINALIZER])
                done = await self._carry_out(key, resource, item)
            else:
                done = await self._carry_out(key, resource, item)
        except SpecError as error:
            self._complain(key, item, str(error))
            done = True
            if not is_deleting(item):
                await self._write(resource, item, status.body([], status.RUN, is_paused=status.paused(item)))
        if is_deleting(item) and done:
            await self._forget(key)
            await self._finalizers(resource, item, [])

    async def _carry_out(self, key: str, resource: Resource, item: Object) -> bool:
        """Bring the records to the wanted phase; False when something must be tried again."""
        plan = read(item)
        held = item.get("status") or {}
        order = Order(resource, item["metadata"]["uid"], plan, dict(held.get("instances") or {}))
        desired, left_s = status.desired_phase(item, plan)
        records = copy.deepcopy((held.get("experiment") or {}).get("containerRecords") or [])
        is_paused = status.paused(item)
        if not records and desired == status.RUN:
            chosen = await select(self.client, plan, item["metadata"]["namespace"])
            records = [status.record(selector, target) for selector, target in chosen]
            if plan.one_shot:  # written before it is done: nobody may be killed in the place of one who is dead
                item = await self._write(resource, item, status.body(records, desired, is_paused=is_paused))
        done = [await self._step(item, order, entry, desired) for entry in records]
        body = status.body(records, desired, is_paused=is_paused)
        await self._write(resource, item, body | ({"instances": order.instances} if resource is STRESS else {}))
        if not all(done):
            self.enqueue_after(key, _RETRY_S)
        elif left_s is not None:
            self.enqueue_after(key, left_s)
        return all(done)

    async def _step(self, item: Object, order: Order, entry: Object, desired: str) -> bool:
        """Bring one target to the phase that is wanted; False when that must be tried again."""
        injected, wanted = entry["phase"] == status.INJECTED, desired == status.RUN
        if injected and wanted:
            await self._faults.hold(order, entry)
        if injected == wanted:
            return True
        operation, done = ("Apply", "Applied") if wanted else ("Recover", "Recovered")
        try:
            await (self._faults.bring(order, entry) if wanted else self._faults.lift(order, entry))
        except LabError as error:
            if isinstance(error, ApiError) and error.unreachable:
                raise
            status.note(entry, operation, str(error))
            self.recorder.record(item, "Warning", "Failed", f"Failed to {operation.lower()} chaos: {error}")
            return False
        status.note(entry, operation)
        self.recorder.record(item, "Normal", done, f"Successfully {operation.lower()} chaos for {entry['id']}")
        if wanted and order.kind is NETWORK and self._faults.network.refusal:
            message = f"Felt by requests through the ingress only: {self._faults.network.refusal}"
            self.recorder.record(item, "Warning", "IngressOnly", message)
        return True

    def _complain(self, key: str, item: Object, why: str) -> None:
        if self._complaints.get(key) != why:
            self._complaints[key] = why
            self.recorder.record(item, "Warning", "Failed", f"Failed to select targets: {why}")

    async def _forget(self, key: str) -> None:
        self._complaints.pop(key, None)
        uid = self._uids.pop(key, None)
        if uid is not None:
            await self._faults.forget(uid)

    # Writing

    async def _finalizers(self, resource: Resource, item: Object, wanted: list[str]) -> Object:
        meta = item["metadata"]
        others = [each for each in meta.get("finalizers") or () if each != status.FINALIZER]
        if (meta.get("finalizers") or []) == [*others, *wanted]:
            return item
        patch = {"metadata": {"uid": meta["uid"], "finalizers": [*others, *wanted]}}
        answer = await self.client.patch(resource, meta["namespace"], meta["name"], patch)
        if wanted:
            self.informers.of(resource).learn(answer)
        return answer

    async def _write(self, resource: Resource, item: Object, body: Object) -> Object:
        """Replace the status, by its subresource where the definition of the kind has one."""
        meta = item["metadata"]
        if item.get("status") == body:
            return item
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": meta["uid"]},
            {"op": "add", "path": "/status", "value": body},
        ]
        answer = item
        for way in (self._subresource.get(resource.plural), "status"):
            answer = await self.client.patch(
                resource, meta["namespace"], meta["name"], patch, kind=JSON_PATCH, subresource=way
            )
            if answer.get("status") == body:
                self._subresource[resource.plural] = way
                break
        self.informers.of(resource).learn(answer)
        return answer
