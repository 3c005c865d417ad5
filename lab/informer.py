"""A local copy of one kind, kept in step with the API server by list and watch."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lab.errors import ApiError

if TYPE_CHECKING:
    from lab.client import Client
    from lab.resources import Resource

Object = dict[str, Any]
Handler = Callable[[Object | None, Object | None], None]

_FIRST_BACKOFF_S = 0.05
_MAX_BACKOFF_S = 2.0
_log = logging.getLogger(__name__)


class Informer:
    """Objects of one resource by ``namespace/name``; handlers are told of every difference.

    ``run`` never returns by itself: it lists, watches, and after an expired version (410), a disconnect or a restart of
    the server lists again and reports what changed meanwhile. Handlers get ``(old, new)``: old is None for a new
    object, new is None for one that is gone. They run in the event loop, must not block, and must not modify objects:
    those are shared by all readers.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._labels = label_selector
        self._fields = field_selector
        self._objects: dict[str, Object] = {}
        self._seen = 0  # how far the watch has told us
        self._handlers: list[Handler] = []

    def on_change(self, handler: Handler) -> None:
        """Call ``handler`` for every later difference, and for all objects that are known already."""
        self._handlers.append(handler)
        for item in list(self._objects.values()):
            handler(None, item)

    def get(self, namespace: str | None, name: str) -> Object | None:
        """The object as last seen, or None."""
        return self._objects.get(f"{namespace}/{name}" if namespace else name)

    def by_key(self, key: str) -> Object | None:
        """The object of a ``namespace/name`` key (plain name for cluster-wide kinds)."""
        return self._objects.get(key)

    def items(self, namespace: str | None = None) -> Iterator[Object]:
        """All objects as last seen, of one namespace or of all."""
        for item in list(self._objects.values()):
            if namespace is None or item["metadata"].get("namespace") == namespace:
                yield item

    def __len__(self) -> int:
        return len(self._objects)

    def learn(self, item: Object) -> None:
        """Take the server's answer to our own write now, so that we read what we wrote before the watch brings it."""
        if _version(item) > self._seen:  # otherwise the watch may have told of a later state, even of its end
            item.setdefault("apiVersion", self.resource.api_version)
            item.setdefault("kind", self.resource.kind)
            self._take(_key(item), item)

    async def run(self) -> None:
        """Keep the copy in step until cancelled. A kind that is not served (yet) is asked for again and again."""
        backoff_s, unserved = _FIRST_BACKOFF_S, False
        while True:
            try:
                version = await self._list()
                backoff_s = _FIRST_BACKOFF_S
                await self._watch(version)
            except ApiError as error:
                expected = error.unreachable or error.status == 410 or (error.not_found and unserved)
                level, unserved = logging.DEBUG if expected else logging.WARNING, error.not_found
                _log.log(level, "%s: %s; listing again", self.resource.plural, error)
                await asyncio.sleep(backoff_s * random.uniform(0.8, 1.2))  # noqa: S311  # jitter, not a secret
                backoff_s = min(backoff_s * 2, _MAX_BACKOFF_S)

    async def _list(self) -> str:
        whole = await self._client.list(
            self.resource, self._namespace, label_selector=self._labels, field_selector=self._fields
        )
        fresh = {_key(item): item for item in whole["items"]}
        self._seen = _version(whole)
        for key in self._objects.keys() - fresh.keys():
            self._take(key, None)
        for key, item in fresh.items():
            known = self._objects.get(key)
            if known is None or known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._replace(key, item)
        self.synced.set()
        return str(whole["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        """Watch on and on from ``version``; return when a stream ended early, for then the server went away."""
        while True:
            timeout_s = random.randint(240, 480)  # noqa: S311  # so that not all watches end together
            began = time.monotonic()
            async for kind, item in self._client.watch(
                self.resource,
                self._namespace,
                resource_version=version,
                label_selector=self._labels,
                field_selector=self._fields,
                timeout_s=timeout_s,
            ):
                version = item["metadata"]["resourceVersion"]
                self._seen = _version(item)
                if kind != "BOOKMARK":
                    self._take(_key(item), None if kind == "DELETED" else item)
            if time.monotonic() - began < timeout_s - 1:
                raise ApiError(0, "Unreachable", "the watch ended early")

    def _take(self, key: str, new: Object | None) -> None:
        old = self._objects.get(key)
        if old is not None and new is not None and _version(new) <= _version(old):
            return  # already learned from the answer to our own write
        self._replace(key, new)

    def _replace(self, key: str, new: Object | None) -> None:
        old = self._objects.pop(key, None)
        if new is not None:
            if old is not None and old["metadata"].get("uid") != new["metadata"].get("uid"):
                self._tell(old, None)  # deleted and created again while nobody was looking
                old = None
            self._objects[key] = new
        elif old is None:
            return
        self._tell(old, new)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        for handler in self._handlers:
            handler(old, new)


def _key(item: Object) -> str:
    meta = item["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def _version(item: Object) -> int:
    """Versions of one server are ordered numbers, which Kubernetes promises since 1.35 and has always kept."""
    return int(item["metadata"]["resourceVersion"])
