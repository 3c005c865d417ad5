"""Structural schemas at work on the objects of custom resources: pruning, defaults and validation."""

from __future__ import annotations

import copy
import re
from typing import Any

from lab.api.errors import Causes
from lab.api.rules import shown

Schema = dict[str, Any]
PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
_EMBEDDED = "x-kubernetes-embedded-resource"
_OBJECT_FIELDS = ("apiVersion", "kind", "metadata")
_NAMES = {bool: "boolean", str: "string", int: "integer", float: "number", list: "array", dict: "object"}


def prune(value: Any, schema: Schema | None, unknown: list[str], path: str = "", *, kept: bool = False) -> Any:
    """A copy of ``value`` without the fields that its schema does not know; their paths go into ``unknown``.

    ``kept`` says that nothing is known here, and that this is meant to be so.
    """
    schema = schema or {}
    if isinstance(value, list):
        items = schema.get("items")
        return [prune(one, items, unknown, f"{path}[{index}]", kept=kept) for index, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept = bool(schema.get(PRESERVE)) or (kept and not schema)
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    result: dict[str, Any] = {}
    for key, one in value.items():
        where = f"{path}.{key}" if path else key
        if key in known:
            result[key] = prune(one, known[key], unknown, where)
        elif others:
            inner = others if isinstance(others, dict) else {PRESERVE: True}
            result[key] = prune(one, inner, unknown, where)
        elif kept or (schema.get(_EMBEDDED) and key in _OBJECT_FIELDS):
            result[key] = prune(one, None, unknown, where, kept=True)
        else:
            unknown.append(where)
    return result


def default(value: Any, schema: Schema | None) -> None:
    """Fill in what is absent, in place. A null that may not be one counts as absent where there is a default."""
    schema = schema or {}
    if isinstance(value, list):
        for one in value:
            default(one, schema.get("items"))
    if not isinstance(value, dict):
        return
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for key, inner in known.items():
        absent = key not in value or (value[key] is None and not inner.get("nullable"))
        if absent and "default" in inner:
            value[key] = copy.deepcopy(inner["default"])
        if key in value:
            default(value[key], inner)
    for key, one in value.items():
        if key not in known and isinstance(others, dict):
            default(one, others)


def validate(value: Any, schema: Schema | None, path: str, causes: Causes) -> None:
    """Every broken rule of the schema as a cause. Rules in CEL (x-kubernetes-validations) are not evaluated."""
    schema = schema or {}
    if value is None and schema.get("nullable"):
        return
    if not _typed(value, schema):
        wanted = "integer,string" if schema.get(INT_OR_STRING) else schema["type"]
        found = "null" if value is None else _NAMES[type(value)]
        causes.invalid(path, f'"{found}"', f'{path or "<nil>"} in body must be of type {wanted}: "{found}"')
        return
    if "enum" in schema and value not in schema["enum"]:
        text = value if isinstance(value, str) else shown(value)
        causes.unsupported(path, text, [one if isinstance(one, str) else shown(one) for one in schema["enum"]])
    if isinstance(value, str):
        _string(value, schema, path, causes)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _number(value, schema, path, causes)
    elif isinstance(value, list):
        _list(value, schema, path, causes)
    elif isinstance(value, dict):
        _object(value, schema, path, causes)
    _combined(value, schema, path, causes)


def _typed(value: Any, schema: Schema) -> bool:
    if schema.get(INT_OR_STRING):
        return isinstance(value, int | str) and not isinstance(value, bool)
    kind = schema.get("type")
    if not kind:
        return True
    if isinstance(value, bool):
        return bool(kind == "boolean")
    if kind == "number":
        return isinstance(value, int | float)
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return bool(kind == _NAMES.get(type(value)))


def _string(value: str, schema: Schema, path: str, causes: Causes) -> None:
    if len(value) > schema.get("maxLength", len(value)):
        longest = schema["maxLength"]
        causes.too_long(path, f"may not be more than {longest} bytes")
    if len(value) < schema.get("minLength", 0):
        least = schema["minLength"]
        causes.invalid(path, shown(value), f"{path} in body should be at least {least} chars long")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        causes.invalid(path, shown(value), f"{path} in body should match '{schema['pattern']}'")


def _number(value: float, schema: Schema, path: str, causes: Causes) -> None:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value <= low if schema.get("exclusiveMinimum") else value < low):
        relation = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        causes.invalid(path, shown(value), f"{path} in body should be {relation} {shown(low)}")
    if high is not None and (value >= high if schema.get("exclusiveMaximum") else value > high):
        relation = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        causes.invalid(path, shown(value), f"{path} in body should be {relation} {shown(high)}")
    step = schema.get("multipleOf")
    if step and value % step:
        causes.invalid(path, shown(value), f"{path} in body should be a multiple of {shown(step)}")


def _list(value: list[Any], schema: Schema, path: str, causes: Causes) -> None:
    if len(value) > schema.get("maxItems", len(value)):
        causes.too_many(path, len(value), schema["maxItems"])
    if len(value) < schema.get("minItems", 0):
        least = schema["minItems"]
        causes.invalid(path, str(len(value)), f"{path} in body should have at least {least} items")
    keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    as_set = schema.get("x-kubernetes-list-type") == "set"
    seen: list[Any] = []
    for index, one in enumerate(value):
        identity = {key: one.get(key) for key in keys} if keys and isinstance(one, dict) else one if as_set else None
        if identity is not None:
            if identity in seen:
                causes.duplicate(f"{path}[{index}]", shown(identity))
            seen.append(identity)
        validate(one, schema.get("items"), f"{path}[{index}]", causes)


def _object(value: dict[str, Any], schema: Schema, path: str, causes: Causes) -> None:
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for name in schema.get("required") or ():
        if name not in value:
            causes.required(f"{path}.{name}" if path else name)
    if len(value) > schema.get("maxProperties", len(value)):
        causes.too_many(path, len(value), schema["maxProperties"])
    if len(value) < schema.get("minProperties", 0):
        least = schema["minProperties"]
        causes.invalid(path, str(len(value)), f"{path} in body should have at least {least} properties")
    for key, one in value.items():
        inner = known.get(key, others if isinstance(others, dict) else None)
        if inner:
            validate(one, inner, f"{path}.{key}" if path else key, causes)


def _combined(value: Any, schema: Schema, path: str, causes: Causes) -> None:
    for one in schema.get("allOf") or ():
        validate(value, one, path, causes)
    if "not" in schema and _holds(value, schema["not"]):
        causes.invalid(path, shown(value), f'"{path}" must not validate the schema (not)')
    for word, words, enough in (
        ("anyOf", "at least one schema (anyOf)", 0),
        ("oneOf", "one and only one schema (oneOf)", 1),
    ):
        choices = schema.get(word)
        if choices:
            count = sum(_holds(value, one) for one in choices)
            if not count or (enough and count > enough):
                causes.invalid(path, shown(value), f'"{path}" must validate {words}')


def _holds(value: Any, schema: Schema) -> bool:
    causes = Causes()
    validate(value, schema, "", causes)
    return not causes.items
