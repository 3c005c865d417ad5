"""The garbage collector: objects whose owners are gone go too; foreground and orphan deletion are carried out."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from lab.client import Client
from lab.controllers.work import Controller, Informers
from lab.errors import ApiError
from lab.informer import Handler
from lab.objects import is_deleting, key_of
from lab.recorder import Recorder
from lab.resources import Object, Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_DEFINITION = "CustomResourceDefinition"
_DISCOVERY_LAGS_S = (0.0, 2.0)  # a real server shows a new kind a moment after its definition
_NOT_COLLECTED = {"events", "leases"}
_log = logging.getLogger(__name__)


async def collectable(client: Client) -> list[Resource]:
    """Every kind the server lets us list, watch and delete, by its own discovery. Raises :class:`ApiError`.

    A group whose own server does not answer, as metrics.k8s.io's may not, is left out.
    """
    versions = ["v1"]
    groups = await client.request("GET", "/apis")
    versions += [group["preferredVersion"]["groupVersion"] for group in groups.get("groups", [])]
    found = []
    for version in versions:
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        try:
            served = (await client.request("GET", path)).get("resources", [])
        except ApiError as error:
            if version == "v1" or error.unreachable:
                raise
            _log.info("discovery of %s: %s", version, error)
            continue
        for entry in served:
            usable = {"list", "watch", "delete"} <= set(entry.get("verbs", []))
            if usable and "/" not in entry["name"] and entry["name"] not in _NOT_COLLECTED:
                found.append(Resource(version, entry["name"], entry["kind"], entry["namespaced"]))
    return found


@dataclass(frozen=True)
class _Node:
    """Where an object is to be found."""

    resource: Resource
    key: str

    @property
    def place(self) -> tuple[str | None, str]:
        namespace, _, name = self.key.rpartition("/")
        return namespace or None, name


class GarbageCollector(Controller):
    """Follows ownerReferences over all kinds. Keys are object uids."""

    name = "garbage-collector"

    def __init__(
        self, client: Client, informers: Informers, recorder: Recorder, *, resources: list[Resource] | None = None
    ) -> None:
        super().__init__(client, informers, recorder)
        self._nodes: dict[str, _Node] = {}
        self._dependents: dict[str, set[str]] = {}
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self._kinds_changed = asyncio.Event()
        self._take_over(resources or [])

    def _take_over(self, resources: list[Resource]) -> None:
        """Follow what is served now, and no longer what was."""
        known = set(self._by_kind.values())
        for resource in known.difference(resources):
            del self._by_kind[resource.api_version, resource.kind]
            self.informers.forget(resource)
        for resource in resources:
            if resource not in known:
                self._by_kind[resource.api_version, resource.kind] = resource
                self.on_change(resource, self._follow(resource))
                if resource.kind == _DEFINITION:
                    self.on_change(resource, lambda _old, _new: self._kinds_changed.set())

    async def run(self) -> None:
        """Work until cancelled; kinds that clients bring along are followed like all others."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self._follow_kinds())

    async def _follow_kinds(self) -> None:
        while True:
            await self._kinds_changed.wait()
            self._kinds_changed.clear()
            for delay_s in _DISCOVERY_LAGS_S:
                await asyncio.sleep(delay_s)
                try:
                    self._take_over(await collectable(self.client))
                except ApiError as error:
                    _log.info("discovery: %s", error)

    def _follow(self, resource: Resource) -> Handler:
        def handle(old: Object | None, new: Object | None) -> None:
            item = new or old or {}
            uid = item["metadata"]["uid"]
            for owner in _owners(old) - _owners(new):
                self._dependents.get(owner, set()).discard(uid)
                self.enqueue(owner)  # it may be waiting in the foreground for its last dependent
            if new is None:
                self._nodes.pop(uid, None)
                for dependent in self._dependents.pop(uid, set()):
                    self.enqueue(dependent)
                return
            self._nodes[uid] = _Node(resource, key_of(new))
            for owner in _owners(new):
                self._dependents.setdefault(owner, set()).add(uid)
            if _owners(new) != _owners(old) or is_deleting(new):
                self.enqueue(uid)

        return handle

    def _object(self, uid: str) -> Object | None:
        node = self._nodes.get(uid)
        item = self.informers.of(node.resource).by_key(node.key) if node else None
        return item if item is not None and item["metadata"]["uid"] == uid else None

    async def sync(self, key: str) -> None:
        """Finish a deletion that waits on us, or delete an object that nobody owns any longer."""
        item = self._object(key)
        if item is None:
            return
        finalizers = item["metadata"].get("finalizers") or []
        if is_deleting(item):
            if ORPHAN in finalizers:
                await self._orphan_dependents(key, item)
            elif FOREGROUND in finalizers:
                await self._foreground(key, item)
            return
        if item["metadata"].get("ownerReferences"):
            await self._judge(key, item)

    async def _foreground(self, uid: str, item: Object) -> None:
        blocking = []
        for dependent in list(self._dependents.get(uid, ())):
            other = self._object(dependent)
            if other is not None and _reference_to(other, uid).get("blockOwnerDeletion"):
                blocking.append(dependent)
            self.enqueue(dependent)
        if not blocking:
            await self._drop_finalizer(uid, item, FOREGROUND)

    async def _orphan_dependents(self, uid: str, item: Object) -> None:
        for dependent in list(self._dependents.get(uid, ())):
            other = self._object(dependent)
            if other is not None:
                await self._release(dependent, other, {uid})
        await self._drop_finalizer(uid, item, ORPHAN)

    async def _judge(self, uid: str, item: Object) -> None:
        """Delete ``item`` if all its owners are gone or wait for it; otherwise only forget those owners."""
        gone, waiting, solid = set(), set(), set()
        for reference in item["metadata"]["ownerReferences"]:
            owner = await self._live_owner(item, reference)
            if owner is None:
                gone.add(reference["uid"])
            elif is_deleting(owner) and FOREGROUND in (owner["metadata"].get("finalizers") or []):
                waiting.add(reference["uid"])
            else:
                solid.add(reference["uid"])
        if solid:
            if gone or waiting:
                await self._release(uid, item, gone | waiting)
            return
        if not gone and not waiting:
            return
        finalizers = item["metadata"].get("finalizers") or []
        has_dependents = bool(self._dependents.get(uid))
        policy = "Foreground" if FOREGROUND in finalizers or (waiting and has_dependents) else "Background"
        if ORPHAN in finalizers:
            policy = "Orphan"
        await self._delete(uid, policy)

    async def _live_owner(self, item: Object, reference: Object) -> Object | None:
        """The owner as we know it, or as the server knows it: a copy that lags must not cost anything its life."""
        known = self._object(reference["uid"])
        if known is not None:
            return known
        resource = self._by_kind.get((reference["apiVersion"], reference["kind"]))
        if resource is None:
            raise ApiError(0, "UnknownKind", f"owner kind {reference['apiVersion']} {reference['kind']} is not served")
        namespace = item["metadata"].get("namespace") if resource.namespaced else None
        try:
            owner = await self.client.get(resource, namespace, reference["name"])
        except ApiError as error:
            if error.not_found:
                return None
            raise
        return owner if owner["metadata"]["uid"] == reference["uid"] else None

    async def _delete(self, uid: str, policy: str) -> None:
        node = self._nodes[uid]
        namespace, name = node.place
        try:
            await self.client.delete(node.resource, namespace, name, propagation=policy, uid=uid)
        except ApiError as error:
            if not (error.not_found or error.conflict):
                raise

    async def _release(self, uid: str, item: Object, owners: set[str]) -> None:
        rest = [reference for reference in item["metadata"]["ownerReferences"] if reference["uid"] not in owners]
        await self._patch_meta(uid, item, {"ownerReferences": rest or None})

    async def _drop_finalizer(self, uid: str, item: Object, finalizer: str) -> None:
        rest = [entry for entry in item["metadata"]["finalizers"] if entry != finalizer]
        await self._patch_meta(uid, item, {"finalizers": rest or None})

    async def _patch_meta(self, uid: str, item: Object, change: Object) -> None:
        node = self._nodes[uid]
        namespace, name = node.place
        meta = {"uid": uid, "resourceVersion": item["metadata"]["resourceVersion"]} | change
        try:
            await self.client.patch(node.resource, namespace, name, {"metadata": meta})
        except ApiError as error:
            if not error.not_found:
                raise


def _owners(item: Object | None) -> set[str]:
    return {reference["uid"] for reference in (item or {"metadata": {}})["metadata"].get("ownerReferences") or []}


def _reference_to(item: Object, uid: str) -> Object:
    return next((dict(r) for r in item["metadata"].get("ownerReferences") or [] if r["uid"] == uid), {})
