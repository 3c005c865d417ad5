"""Watches: a stream of changes, after a replay of what is there when the client asks for one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from aiohttp import web

from lab.api import answers, errors
from lab.api.answers import Wanted
from lab.api.errors import Cause
from lab.api.listing import Selection, number, version
from lab.api.store import Event, Expired, Store, Stored, dumps

BOOKMARK_S = 60.0
_LONGEST_S = 1800.0  # and up to twice that, as real servers do, so that clients do not all return at once


class _Writer:
    """Events as lines, in the representation of this watch."""

    def __init__(self, chosen: Selection, wanted: Wanted) -> None:
        self._row = chosen.row
        self._wanted = wanted
        self._first = True

    def line(self, change: str, stored: Stored) -> bytes:
        if self._wanted.form == "table":
            metadata = {"resourceVersion": str(stored.revision)}
            rows = answers.table(self._row, [stored], metadata, self._wanted.include, definitions=self._first)
            self._first = False
            raw = dumps(rows)
        elif self._wanted.form == "partial":
            raw = dumps(answers.partial(stored))
        else:
            raw = answers.object_bytes(self._row, stored)
        return b'{"type":"' + change.encode() + b'","object":' + raw + b"}\n"

    def bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        kind = {"kind": self._row.kind, "apiVersion": self._row.api_version}
        if self._wanted.form == "table":
            kind = {"kind": "Table", "apiVersion": "meta.k8s.io/v1"}
        return dumps({"type": "BOOKMARK", "object": {**kind, "metadata": metadata}}) + b"\n"


def project(event: Event, chosen: Selection) -> tuple[str, Stored] | None:
    """The event as this selection sees it: what begins to match is added, what ceases to match is deleted."""
    now = event.type != "DELETED" and chosen.holds(event.after)
    before = event.before is not None and chosen.holds(event.before)
    if now:
        return ("MODIFIED" if before else "ADDED"), event.after
    if not before or event.before is None:
        return None
    if event.type == "DELETED":
        return "DELETED", event.after
    metadata = {**event.before.metadata, "resourceVersion": str(event.revision)}
    return "DELETED", Stored(event.before.key, {**event.before.body, "metadata": metadata}, event.revision)


def _lines(events: Iterable[Event], chosen: Selection, writer: _Writer) -> bytes:
    seen = (project(event, chosen) for event in events)
    return b"".join(writer.line(*one) for one in seen if one is not None)


async def chunks(store: Store, chosen: Selection, query: Mapping[str, str], wanted: Wanted) -> AsyncGenerator[bytes]:
    """The body of a watch, for ever. An expired version is one ERROR event, after which the stream ends."""
    writer = _Writer(chosen, wanted)
    since, initial = version(query), query.get("sendInitialEvents")
    bookmarks = query.get("allowWatchBookmarks") in {"true", "1"}
    if initial == "true" or (since == 0 and initial != "false"):
        since = store.revision
        held = [item for item in store.list(chosen.row.stored_as, chosen.namespace) if chosen.holds(item)]
        yield b"".join(writer.line("ADDED", item) for item in held)
        if bookmarks and (initial == "true" or query.get("resourceVersion") == "0"):
            yield writer.bookmark(since, initial=True)
    elif since == 0:
        since = store.revision
    try:
        async with aclosing(store.changes(chosen.row.stored_as, since, idle_s=BOOKMARK_S)) as changes:
            async for batch in changes:
                if batch:
                    yield _lines(batch, chosen, writer)
                elif bookmarks:
                    yield writer.bookmark(store.revision)
    except Expired as error:
        status = errors.expired(str(error)).status()
        yield dumps({"type": "ERROR", "object": status}) + b"\n"


def check(query: Mapping[str, str]) -> None:
    """The query of a watch. Raises 400, 422."""
    version(query)
    if query.get("sendInitialEvents") and query.get("resourceVersionMatch") != "NotOlderThan":
        why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        cause = Cause("resourceVersionMatch", "FieldValueForbidden", why)
        raise errors.invalid("ListOptions", "meta.k8s.io", "", [cause])


async def watch(request: web.Request, store: Store, chosen: Selection, wanted: Wanted) -> web.StreamResponse:
    """Answer a watch until its time is over, the client leaves or the server stops."""
    query = request.query
    check(query)
    seconds = number(query, "timeoutSeconds") or _LONGEST_S * random.uniform(1, 2)  # noqa: S311 - no secret
    response = web.StreamResponse(headers={**answers.NO_CACHE, "Content-Type": "application/json"})
    await response.prepare(request)
    try:
        async with asyncio.timeout(seconds), aclosing(chunks(store, chosen, query, wanted)) as lines:
            async for chunk in lines:
                if chunk:
                    await response.write(chunk)
    except (TimeoutError, ConnectionError):
        pass  # the ends that a watch has: its own time, or a client that left
    return response
