"""Answers: which representation a client asks for, and its bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from lab.api import clock, errors
from lab.api.bodies import ACCEPTED
from lab.api.columns import Column
from lab.api.errors import ApiError
from lab.api.resources import Resource
from lab.api.store import Stored, dumps

NO_CACHE = {"Cache-Control": "no-cache, private"}
_META = "meta.k8s.io/v1"


@dataclass(frozen=True)
class Wanted:
    """``form`` is "json", "yaml", "table" or "partial"; ``include`` which object a table's rows carry."""

    form: str
    include: str = "Metadata"


def negotiate(accept: str | None, include: str = "Metadata") -> Wanted:
    """The first representation of an Accept header that is served. Raises 406."""
    for choice in (accept or "*/*").split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        given = dict(part.partition("=")[::2] for part in parameters)
        kind = given.get("as", "")
        if media == "application/json" and kind:
            if given.get("g") == "meta.k8s.io" and given.get("v") == "v1":
                if kind == "Table":
                    return Wanted("table", include)
                if kind in {"PartialObjectMetadata", "PartialObjectMetadataList"}:
                    return Wanted("partial")
            continue
        if media in {"application/json", "*/*", "application/*"}:
            return Wanted("json")
        if media == "application/yaml":
            return Wanted("yaml")
    raise errors.not_acceptable(ACCEPTED)


def respond(body: Any, *, code: int = 200, form: str = "json", warnings: Iterable[str] = ()) -> web.Response:
    """Plain data as an answer."""
    raw = body if isinstance(body, bytes) else dumps(body)
    media = "application/json"
    if form == "yaml":
        import json

        import yaml

        raw, media = yaml.safe_dump(json.loads(raw), sort_keys=True).encode(), "application/yaml"
    response = web.Response(body=raw, status=code, headers=NO_CACHE)
    response.headers["Content-Type"] = media
    for warning in warnings:
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response


def text(body: str, code: int = 200) -> web.Response:
    """Plain text."""
    return web.Response(text=body, status=code, headers={**NO_CACHE, "X-Content-Type-Options": "nosniff"})


def failure(error: ApiError) -> web.Response:
    """The answer of an error."""
    if error.plain:
        return text(f"{error.message}\n", error.code)
    response = respond(error.status(), code=error.code)
    response.headers.update(error.headers)
    return response


def object_bytes(row: Resource, stored: Stored) -> bytes:
    """One object with kind and apiVersion; what was serialized once is not serialized again."""
    head = f'{{"kind":"{row.kind}","apiVersion":"{row.api_version}",'.encode()
    return head + (dumps(row.outward(stored.body)) if row.outward else stored.raw)[1:]


def item_bytes(row: Resource, stored: Stored) -> bytes:
    """One object as lists hold it: without kind and apiVersion, but for custom resources."""
    if row.schema is not None:
        return object_bytes(row, stored)
    return dumps(row.outward(stored.body)) if row.outward else stored.raw


def partial(stored: Stored) -> dict[str, Any]:
    """An object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": stored.metadata}


def table(
    row: Resource, items: Iterable[Stored], metadata: dict[str, Any], include: str, *, definitions: bool = True
) -> dict[str, Any]:
    """Objects as a Table."""
    now = clock.now()
    return {
        "kind": "Table",
        "apiVersion": _META,
        "metadata": metadata,
        "columnDefinitions": [column.definition() for column in row.columns] if definitions else None,
        "rows": [_table_row(row, row.columns, item, include, now) for item in items],
    }


def _table_row(row: Resource, columns: tuple[Column, ...], stored: Stored, include: str, now: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"cells": [column.cell(stored.body, now) for column in columns]}
    if include == "Object":
        body = row.outward(stored.body) if row.outward else stored.body
        result["object"] = {"kind": row.kind, "apiVersion": row.api_version, **body}
    elif include != "None":
        result["object"] = partial(stored)
    return result


def one(
    row: Resource, stored: Stored, wanted: Wanted, *, code: int = 200, warnings: Iterable[str] = ()
) -> web.Response:
    """One object in the representation that is wanted."""
    if wanted.form == "table":
        metadata = {"resourceVersion": str(stored.revision)}
        return respond(table(row, [stored], metadata, wanted.include), code=code, warnings=warnings)
    if wanted.form == "partial":
        return respond(partial(stored), code=code, warnings=warnings)
    return respond(object_bytes(row, stored), code=code, form=wanted.form, warnings=warnings)


def many(row: Resource, items: list[Stored], metadata: dict[str, Any], wanted: Wanted) -> web.Response:
    """A list in the representation that is wanted."""
    if wanted.form == "table":
        return respond(table(row, items, metadata, wanted.include))
    if wanted.form == "partial":
        body = {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": metadata}
        return respond({**body, "items": [partial(item) for item in items]})
    head = dumps({"kind": f"{row.kind}List", "apiVersion": row.api_version, "metadata": metadata})
    raw = head[:-1] + b',"items":[' + b",".join(item_bytes(row, item) for item in items) + b"]}"
    return respond(raw, form=wanted.form)
