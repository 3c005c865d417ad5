"""The end of a namespace: its contents go first, then its finalizer, then the namespace itself."""

from __future__ import annotations

import asyncio

from lab.api import errors
from lab.api.deletion import DeleteOptions, delete
from lab.api.objects import Objects, Options
from lab.api.paths import Target
from lab.api.store import Event, Stored

INITIAL = ("default", "kube-node-lease", "kube-public", "kube-system")


class NamespaceReaper:
    """Empties and removes every namespace that is being deleted. One task for each, woken by changes."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Take up what an earlier life left, and follow the store from here on."""
        self._objects.store.listeners.append(self._notice)
        for home in self._objects.store.list("namespaces"):
            self._consider(home)

    def _notice(self, kind: str, event: Event) -> None:
        if kind == "namespaces" and event.type != "DELETED":
            self._consider(event.after)

    def _consider(self, home: Stored) -> None:
        name = home.key[1]
        if home.metadata.get("deletionTimestamp") and name not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._reap(name))
            self._tasks[name] = task
            task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _reap(self, name: str) -> None:
        store = self._objects.store
        while self._empty(name):
            await store.next_change()
        home = store.get("namespaces", "", name)
        if home is not None:
            row = self._objects.registry.find("", "v1", "namespaces")
            if row is None:
                raise LookupError("the table has no namespaces")
            self._objects.change(row, home, lambda body: body["spec"].update(finalizers=[]))

    def _empty(self, name: str) -> bool:
        """Ask every object of the namespace to go; whether any is still there."""
        left = False
        for kind in self._objects.store.kinds():
            row = self._objects.registry.by_storage(kind)
            if row is None or not row.namespaced:
                continue
            for stored in self._objects.store.list(kind, name):
                if not stored.metadata.get("deletionTimestamp"):
                    delete(self._objects, row, stored, DeleteOptions(policy="Background"))
                left = left or self._objects.store.get(kind, *stored.key) is not None
        return left

    async def stop(self) -> None:
        """End the tasks."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def create_initial(objects: Objects) -> None:
    """The namespaces that every cluster has."""
    row = objects.registry.find("", "v1", "namespaces")
    if row is None:
        raise errors.resource_not_found()
    for name in INITIAL:
        if objects.store.get("namespaces", "", name) is None:
            objects.create(Target(row), {"metadata": {"name": name}}, Options())
