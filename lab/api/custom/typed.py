"""Objects of custom resources as the typed server sees them: metadata like everyone's, the rest by their schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.api.custom.structural import Schema, prune
from lab.api.shapes import Conformed, Field, Type, TypeProblem, struct


def field_of(schema: Schema, key: str) -> Field | None:
    """The field of an object after a structural schema; only lists with one map key are merged by it."""
    if key == "metadata":
        return Field(key, struct("ObjectMeta"))
    inner = (schema.get("properties") or {}).get(key) or schema.get("additionalProperties")
    if not isinstance(inner, dict):
        return None
    if inner.get("type") != "array":
        return Field(key, Type("custom", schema=inner))
    keys, kind = inner.get("x-kubernetes-list-map-keys") or [], inner.get("x-kubernetes-list-type")
    merge_key = keys[0] if kind == "map" and len(keys) == 1 else "" if kind == "set" else None
    return Field(key, Type("list", Type("custom", schema=inner.get("items") or {})), merge_key=merge_key)


def conform(value: Any, schema: Schema, notes: Conformed, conform_head: Callable[..., Any]) -> dict[str, Any]:
    """A copy of ``value``: metadata typed by ``conform_head``, the rest pruned. Raises :class:`TypeProblem`."""
    if not isinstance(value, dict):
        wanted = "map[string]interface {}"
        raise TypeProblem(f"json: cannot unmarshal into Go value of type {wanted}", f"unrecognized type: {wanted}")
    heads = {"apiVersion": Type("string"), "kind": Type("string"), "metadata": struct("ObjectMeta")}
    given = {key: kind for key, kind in heads.items() if value.get(key) is not None}
    head = {key: conform_head(value[key], kind, notes, path=key) for key, kind in given.items()}
    rest = {key: one for key, one in value.items() if key not in heads}
    return {**head, **prune(rest, schema, notes.unknown)}
