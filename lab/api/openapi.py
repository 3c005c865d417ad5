"""OpenAPI v3, built from the table: what kubectl needs to validate, and to know how lists are merged."""

from __future__ import annotations

import hashlib
from typing import Any

from lab.api.patches import MEDIA
from lab.api.resources import Registry, Resource
from lab.api.shapes import Field, Type, struct, structs
from lab.api.store import dumps

# The older document. kubectl asks for it, as protobuf, when it validates a List, and validates nothing in an empty one.
VERSION_2 = b"\n\x032.0"  # swagger = "2.0"
VERSION_2_MEDIA = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "number": {"type": "number", "format": "double"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "intstr": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
_WRITE_QUERY = ("dryRun", "fieldManager", "fieldValidation", "pretty")


def _schema_name(name: str) -> str:
    return f"io.k8s.api.{name}"


def _row_schema_name(row: Resource) -> str:
    if row.schema is None:
        return _schema_name(row.type.name)
    return ".".join([*reversed(row.group.split(".")), row.version, row.kind])


def _collect_row(row: Resource, found: dict[str, Any]) -> None:
    """The schema of a row's objects."""
    if row.schema is None:
        _collect(row.type.name, found)
    else:
        _collect("ObjectMeta", found)
        head = {
            "apiVersion": _SCALARS["string"],
            "kind": _SCALARS["string"],
            "metadata": _wrapped(struct("ObjectMeta")),
        }
        properties = {**head, **(row.schema.get("properties") or {})}
        found[_row_schema_name(row)] = {**row.schema, "properties": properties}
    schema = found[_row_schema_name(row)]
    schema["x-kubernetes-group-version-kind"] = [_gvk(row)]


def _schema(kind: Type) -> dict[str, Any]:
    if kind.kind == "struct":
        return {"$ref": f"#/components/schemas/{_schema_name(kind.name)}"}
    if kind.kind == "list" and kind.item:
        return {"type": "array", "items": _wrapped(kind.item)}
    if kind.kind == "map" and kind.item:
        return {"type": "object", "additionalProperties": _wrapped(kind.item)}
    return dict(_SCALARS[kind.kind])


def _wrapped(kind: Type) -> dict[str, Any]:
    """A reference may carry no other keys in OpenAPI 3.0, hence allOf."""
    schema = _schema(kind)
    return {"allOf": [schema], "default": {}} if "$ref" in schema else schema


def _property(known: Field) -> dict[str, Any]:
    schema = _wrapped(known.type)
    strategies = []
    if known.merge_key is not None:
        strategies.append("merge")
        if known.merge_key:
            schema["x-kubernetes-patch-merge-key"] = known.merge_key
            schema["x-kubernetes-list-type"] = "map"
            schema["x-kubernetes-list-map-keys"] = [known.merge_key]
        else:
            schema["x-kubernetes-list-type"] = "set"
    elif known.type.kind == "list":
        schema["x-kubernetes-list-type"] = "atomic"
    if known.retain_keys:
        strategies.append("retainKeys")
    if strategies:
        schema["x-kubernetes-patch-strategy"] = ",".join(strategies)
    return schema


def _collect(name: str, found: dict[str, Any]) -> None:
    """The schema of a struct and of all that it refers to."""
    if _schema_name(name) in found:
        return
    shape = structs()[name]
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    found[_schema_name(name)] = schema
    required = sorted(one.name for one in shape.fields.values() if one.required)
    if required:
        schema["required"] = required
    for one in shape.fields.values():
        schema["properties"][one.name] = _property(one)
        inner: Type | None = one.type
        while inner is not None and inner.kind != "struct":
            inner = inner.item
        if inner is not None:
            _collect(inner.name, found)


def _gvk(row: Resource) -> dict[str, str]:
    return {"group": row.group, "kind": row.kind, "version": row.version}


def _operation(row: Resource, action: str, **more: Any) -> dict[str, Any]:
    ok = {"200": {"description": "OK"}, "401": {"description": "Unauthorized"}}
    return {"responses": ok, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": _gvk(row), **more}


def _writes(row: Resource, schema: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in _WRITE_QUERY
    ]
    body = {"content": {"*/*": {"schema": schema}}, "required": True}
    # kubectl reads from this which patches it may send.
    media = [one for one in MEDIA if row.schema is None or "strategic" not in one]
    patch = {"content": {one: {"schema": {"type": "object"}} for one in media}, "required": True}
    return {
        "post": _operation(row, "post", parameters=parameters, requestBody=body),
        "put": _operation(row, "put", parameters=parameters, requestBody=body),
        "patch": _operation(
            row,
            "patch",
            parameters=[*parameters, {"name": "force", "in": "query", "schema": {"type": "boolean"}}],
            requestBody=patch,
        ),
    }


def _paths(row: Resource) -> dict[str, Any]:
    scope = "/namespaces/{namespace}" if row.namespaced else ""
    collection = f"{row.prefix}{scope}/{row.plural}"
    reference = {"$ref": f"#/components/schemas/{_row_schema_name(row)}"}
    writes = _writes(row, reference)
    return {
        collection: {"get": _operation(row, "list"), "post": writes["post"]},
        f"{collection}/{{name}}": {
            "get": _operation(row, "get"),
            "put": writes["put"],
            "patch": writes["patch"],
            "delete": _operation(row, "delete"),
        },
    }


def document(registry: Registry, group: str, version: str) -> bytes | None:
    """The document of one group and version, or None."""
    rows = registry.of_group(group, version)
    if not rows:
        return None
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for row in rows:
        paths.update(_paths(row))
        _collect_row(row, schemas)
    return dumps(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.36.2"},
            "paths": paths,
            "components": {"schemas": schemas},
        }
    )


def documents(registry: Registry) -> dict[str, bytes]:
    """All documents by their key, "api/v1" or "apis/GROUP/VERSION"."""
    keys = {row.prefix.strip("/"): (row.group, row.version) for row in registry.rows()}
    made = {key: document(registry, *place) for key, place in keys.items()}
    return {key: raw for key, raw in made.items() if raw is not None}


def index(made: dict[str, bytes]) -> dict[str, Any]:
    """/openapi/v3: where each document is, with the hash that lets clients cache it for ever."""
    return {
        "paths": {
            key: {"serverRelativeURL": f"/openapi/v3/{key}?hash={hashlib.sha512(raw).hexdigest().upper()}"}
            for key, raw in made.items()
        }
    }
