"""From a CustomResourceDefinition to the rows of the table that serve it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lab.api import clock
from lab.api.columns import GENERIC, NAME, Cell, Column
from lab.api.custom import jsonpath, structural
from lab.api.errors import Causes
from lab.api.resources import READ_WRITE, Body, Resource

# The server knows these itself; whatever a schema says of their insides does not count.
_OWN = ("apiVersion", "kind", "metadata")


def rows(definition: Body, *, unserved: bool = False) -> list[Resource]:
    """One row for each version that is served (or ``unserved`` too), the storage version first."""
    spec = definition["spec"]
    versions = sorted(spec["versions"], key=lambda one: not one.get("storage"))
    return [_row(spec, version) for version in versions if unserved or version.get("served")]


def _row(spec: Body, version: Body) -> Resource:
    names, schema = spec["names"], _body_schema(version["schema"]["openAPIV3Schema"])
    parts = version.get("subresources") or {}
    scale = parts.get("scale")

    def defaults(body: Body) -> None:
        structural.default(body, schema)

    def prepare(body: Body, old: Body | None) -> None:
        if old is None and "status" in parts:
            body.pop("status", None)

    def validate(new: Body, _old: Body | None, causes: Causes) -> None:
        structural.validate(new, schema, "", causes)

    return Resource(
        spec["group"],
        version["name"],
        names["plural"],
        names["kind"],
        singular=names.get("singular") or names["kind"].lower(),
        namespaced=spec["scope"] == "Namespaced",
        short=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(name for name in ("scale", "status") if parts.get(name) is not None),
        verbs=READ_WRITE,
        selectable={path: path for path in _selectable(version)},
        columns=_columns(version),
        defaults=defaults,
        prepare=prepare,
        validate=validate,
        generation=True,
        schema=schema,
        scale_paths=_scale_paths(scale) if scale is not None else None,
    )


def _body_schema(schema: Body) -> Body:
    """The schema of what the object's kind adds: metadata is typed like everyone's."""
    known = {key: one for key, one in (schema.get("properties") or {}).items() if key not in _OWN}
    required = [name for name in schema.get("required") or () if name not in _OWN]
    return {**schema, "properties": known, "required": required}


def _selectable(version: Body) -> list[str]:
    return [one["jsonPath"].removeprefix(".") for one in version.get("selectableFields") or () if one.get("jsonPath")]


def _scale_paths(scale: Body) -> tuple[str, str, str]:
    names = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
    desired, actual, selector = (str(scale.get(name) or "").removeprefix(".") for name in names)
    return desired or "spec.replicas", actual or "status.replicas", selector


def _columns(version: Body) -> tuple[Column, ...]:
    given = version.get("additionalPrinterColumns") or []
    if not given:
        return GENERIC
    return (NAME, *(_column(one) for one in given))


def _column(one: Body) -> Column:
    kind = one.get("type") or "string"
    cell = _cell(one["jsonPath"], kind)
    return Column(one.get("name") or "", cell, kind, one.get("format") or "", int(one.get("priority") or 0))


def _cell(path: str, kind: str) -> Cell:
    find = jsonpath.compiled(path)

    def cell(body: Body, now: datetime) -> Any:
        value = find(body) if find else None
        if kind == "date":
            return clock.since(value, now) if value else "<unknown>"
        if kind == "string" and value is not None and not isinstance(value, str):
            return ("true" if value else "false") if isinstance(value, bool) else str(value)
        return value

    return cell
