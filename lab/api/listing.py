"""Lists: selectors, pages, and what resourceVersion asks of them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.api import errors
from lab.api.errors import ApiError
from lab.api.resources import Resource
from lab.api.selectors import Predicate, both, field_predicate, label_predicate
from lab.api.store import Expired, Key, Store, Stored

PATIENCE_S = 3.0  # how long a list waits for a version that is not there yet


@dataclass(frozen=True)
class Selection:
    """What a list or watch looks at."""

    row: Resource
    namespace: str
    predicate: Predicate | None

    def holds(self, stored: Stored) -> bool:
        """Whether this object is selected."""
        if self.namespace and stored.key[0] != self.namespace:
            return False
        return self.predicate is None or self.predicate(stored.body)


def selection(row: Resource, namespace: str, query: Mapping[str, str]) -> Selection:
    """From the query. Raises 400."""
    predicate = both(
        label_predicate(query.get("labelSelector")), field_predicate(query.get("fieldSelector"), row.selectable)
    )
    return Selection(row, namespace, predicate)


def number(query: Mapping[str, str], name: str) -> int:
    """A number of the query, 0 when absent. Raises 400 in Go's words."""
    text = query.get(name) or "0"
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def version(query: Mapping[str, str]) -> int:
    """``resourceVersion`` as a number, 0 when absent. Raises 400."""
    text = query.get("resourceVersion") or "0"
    if not text.isdigit():
        raise errors.bad_request(f'invalid resource version: strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _token(revision: int, after: Key) -> str:
    raw = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": "/".join(after) + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def _parse_token(text: str) -> tuple[int, Key]:
    try:
        raw = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        namespace, _, name = str(raw["start"]).rstrip("\0").partition("/")
        return int(raw["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise errors.bad_request("continue key is not valid: it cannot be decoded") from None


async def _wait_for(store: Store, revision: int) -> None:
    """A list may ask for a version that this server has not seen yet; one that never comes is a 504."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while store.revision < revision:
                await store.next_change()
    except TimeoutError:
        raise errors.too_large_version(revision, store.revision) from None


async def page(store: Store, chosen: Selection, query: Mapping[str, str]) -> tuple[list[Stored], dict[str, Any]]:
    """The objects of one page and the list's metadata. Raises 400, 410, 504."""
    limit, wanted, match = number(query, "limit"), version(query), query.get("resourceVersionMatch")
    token = query.get("continue")
    if match and match not in {"Exact", "NotOlderThan"}:
        raise errors.bad_request(f'resourceVersionMatch: Unsupported value: "{match}"')
    if wanted > store.revision:
        await _wait_for(store, wanted)
    revision, after = _parse_token(token) if token else (wanted if match == "Exact" else store.revision, ("", ""))
    try:
        items = store.list(chosen.row.stored_as, chosen.namespace, revision)
    except Expired:
        if token:
            raise _token_expired() from None
        why = f"The resourceVersion for the provided list is too old: {revision} ({store.revision})"
        raise errors.expired(why) from None
    items = [item for item in items if item.key > after]
    if chosen.predicate is not None:
        items = [item for item in items if chosen.predicate(item.body)]
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if limit and len(items) > limit:
        left, items = len(items) - limit, items[:limit]
        metadata["continue"] = _token(revision, items[-1].key)
        if chosen.predicate is None:
            metadata["remainingItemCount"] = left
    return items, metadata


def _token_expired() -> ApiError:
    return errors.expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list"
        " without the continue parameter."
    )
