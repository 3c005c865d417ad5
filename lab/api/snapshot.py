"""The store on disk: the world outlives a restart of the API, though not the lab."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import NoReturn

from lab.api.pki import write_private
from lab.api.store import Store, dumps

SCHEMA = "lab/api-store/v1"
_SETTLE_S = 2.0
# Revisions that may have been given out after the last snapshot of a server that was killed. They are never given out
# twice, and whoever holds one is told to list again.
_GAP = 10_000
log = logging.getLogger(__name__)


def load(path: Path) -> Store:
    """The store as the file has it, or a new one when there is none. Raises ValueError for a file that is not ours."""
    if not path.is_file():
        return Store()
    try:
        content = json.loads(path.read_bytes())
        if content["schema"] != SCHEMA:
            return _reject(path, f"its schema is {content['schema']!r}, not {SCHEMA!r}")
        store = Store(revision=int(content["revision"]) + _GAP)
        for kind, bodies in content["objects"].items():
            for body in bodies:
                store.load(kind, body["metadata"].get("namespace", ""), body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _reject(path, str(error))
    return store


def _reject(path: Path, why: str) -> NoReturn:
    raise ValueError(f"{path} is not a snapshot of the API's store: {why}")


def dump(store: Store) -> bytes:
    """The store as the file has it, from bytes that are mostly there already."""
    kinds = [dumps(kind) + b":[" + b",".join(one.raw for one in store.list(kind)) + b"]" for kind in store.kinds()]
    head = dumps({"schema": SCHEMA, "revision": store.revision})
    return head[:-1] + b',"objects":{' + b",".join(kinds) + b"}}"


class Keeper:
    """Writes the store some time after a change, and at the end."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._path = path
        self._written = -1
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow the store."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            if self._store.revision == self._written:
                await self._store.next_change()
            await asyncio.sleep(_SETTLE_S)  # many changes, one write
            revision, content = self._store.revision, dump(self._store)
            try:
                await asyncio.to_thread(write_private, self._path, content)
                self._written = revision
            except OSError as error:
                log.warning("the store could not be written to %s: %s", self._path, error)

    async def stop(self) -> None:
        """Write what is not written yet."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._store.revision != self._written:
            write_private(self._path, dump(self._store))
