"""The life of CustomResourceDefinitions: established when their names are free, served at once, emptied at the end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from lab.api import clock
from lab.api.custom.kind import CLEANUP
from lab.api.custom.rows import rows
from lab.api.deletion import DeleteOptions, delete
from lab.api.objects import Objects
from lab.api.resources import Registry, Resource
from lab.api.store import Event, Stored

Body = dict[str, Any]
GROUP = "apiextensions.k8s.io"
STORED = f"customresourcedefinitions.{GROUP}"
log = logging.getLogger(__name__)


class Definitions:
    """Keeps the table in step with the definitions in the store."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._tasks: dict[str, asyncio.Task[None]] = {}
        objects.store.listeners.append(self._notice)

    @property
    def _registry(self) -> Registry:
        return self._objects.registry

    def _row(self) -> Resource:
        row = self._registry.find(GROUP, "v1", "customresourcedefinitions")
        if row is None:
            raise LookupError("the table has no customresourcedefinitions")
        return row

    def start(self) -> None:
        """Serve what an earlier life left, and take up what it had begun."""
        for stored in self._objects.store.list(STORED):
            if _true(stored.body, "Established"):
                self._registry.serve(stored.key[1], rows(stored.body))
        for stored in self._objects.store.list(STORED):
            self._consider(stored.key[1])

    def _notice(self, kind: str, event: Event) -> None:
        """Not within the write that is under way: its other listeners must see it before what follows from it."""
        if kind == STORED:
            name = event.after.key[1]
            if event.type == "DELETED":
                self._registry.serve(name, [])
            asyncio.get_running_loop().call_soon(self._consider, name)

    def _consider(self, name: str) -> None:
        stored = self._objects.store.get(STORED, "", name)
        if stored is None:
            return
        if stored.metadata.get("deletionTimestamp"):
            if name not in self._tasks:
                task = asyncio.get_running_loop().create_task(self._end(name))
                self._tasks[name] = task
                task.add_done_callback(lambda _: self._tasks.pop(name, None))
            return
        self._establish(stored)

    def _establish(self, stored: Stored) -> None:
        names, problem = stored.body["spec"]["names"], self._conflict(stored)
        if problem:
            taken = _condition("NamesAccepted", "False", "NameConflict", problem)
            waiting = _condition("Established", "False", "NotAccepted", "not all names are accepted")
            conditions, accepted = [taken, waiting], _accepted(stored)
        else:
            free = _condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")
            words = "the initial names have been accepted"
            conditions, accepted = [free, _condition("Established", "True", "InitialNamesAccepted", words)], names
            self._registry.serve(stored.key[1], rows(stored.body))
        self._set(stored, conditions, accepted)

    def _conflict(self, stored: Stored) -> str:
        """Which of its names another kind of its group has, or ""."""
        spec = stored.body["spec"]
        own = {(row.group, row.version, row.plural) for row in self._registry.served_by(stored.key[1])}
        for row in self._registry.rows():
            if row.group != spec["group"] or (row.group, row.version, row.plural) in own:
                continue
            theirs = {row.plural, row.singular_name, *row.short}
            for name in (
                spec["names"]["plural"],
                spec["names"].get("singular"),
                *(spec["names"].get("shortNames") or ()),
            ):
                if name in theirs:
                    return f'"{name}" is already in use'
            if row.kind == spec["names"]["kind"]:
                return f'"{row.kind}" is already in use'
        return ""

    def _set(self, stored: Stored, conditions: list[Body], accepted: Body) -> None:
        """Write conditions; one that says the same as before keeps its time."""
        held = {one["type"]: one for one in (stored.body.get("status") or {}).get("conditions") or ()}
        for one in conditions:
            before = held.get(one["type"])
            if before is None or before["status"] != one["status"] or before["reason"] != one["reason"]:
                held[one["type"]] = one

        def edit(body: Body) -> None:
            body.setdefault("status", {}).update(conditions=list(held.values()), acceptedNames=accepted)

        self._objects.change(self._row(), stored, edit)

    async def _end(self, name: str) -> None:
        """Its objects go first, then the definition."""
        store = self._objects.store
        stored = store.get(STORED, "", name)
        if stored is not None:
            words = "CustomResource deletion is in progress"
            doing = _condition("Terminating", "True", "InstanceDeletionInProgress", words)
            self._set(stored, [doing], _accepted(stored))
        while self._any_left(name):
            await store.next_change()
        stored = store.get(STORED, "", name)
        if stored is not None:

            def release(body: Body) -> None:
                held = body["metadata"].get("finalizers") or []
                body["metadata"]["finalizers"] = [one for one in held if one != CLEANUP]

            self._objects.change(self._row(), stored, release)

    def _any_left(self, name: str) -> bool:
        """Ask every object of the kind to go; whether any is still there."""
        store = self._objects.store
        definition = store.get(STORED, "", name)
        if definition is None:
            return False
        row = rows(definition.body, unserved=True)[0]
        for stored in store.list(row.stored_as):
            if not stored.metadata.get("deletionTimestamp"):
                delete(self._objects, row, stored, DeleteOptions(policy="Background"))
        return bool(store.list(row.stored_as))

    async def stop(self) -> None:
        """End the tasks."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _condition(kind: str, status: str, reason: str, message: str) -> Body:
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": clock.stamp(clock.now()),
        "reason": reason,
        "message": message,
    }


def _accepted(stored: Stored) -> Body:
    return (stored.body.get("status") or {}).get("acceptedNames") or {"plural": "", "kind": ""}


def _true(body: Body, kind: str) -> bool:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)
