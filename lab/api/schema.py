"""Values held to the API's types: decoding, patches and apply are driven by it."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Callable
from typing import Any

from lab.api.custom import typed
from lab.api.shapes import Conformed, Field, Struct, Type, TypeProblem, structs

QUANTITY = re.compile(r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$")
QUANTITY_RULE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_BASE64 = set(string.ascii_letters + string.digits + "+/\r\n")
_LINE_ENDS = {10: None, 13: None}


def field_of(kind: Type | None, key: str) -> Field | None:
    """The field ``key`` of a struct or map type, or None when it is not known (then nothing is known below it)."""
    if kind is None:
        return None
    if kind.kind == "struct":
        return structs()[kind.name].fields.get(key)
    if kind.kind == "map" and kind.item:
        return Field(key, kind.item)
    if kind.kind == "custom":
        return typed.field_of(kind.schema or {}, key)
    return None


def conform(value: Any, kind: Type, notes: Conformed, *, owner: str = "", path: str = "") -> Any:
    """A copy of ``value`` as the typed server would hold it.

    Unknown fields and nulls are dropped (the former noted), empty lists and maps of optional fields too. The result
    shares no mutable part with ``value`` except below ``any``. Raises :class:`TypeProblem`.
    Of a custom resource, only metadata is typed here; the rest is pruned by its schema.
    """
    if kind.kind == "custom":
        return typed.conform(value, kind.schema or {}, notes, conform)
    if kind.kind == "struct":
        return _conform_struct(value, structs()[kind.name], notes, path)
    if kind.kind == "list" and kind.item:
        if not isinstance(value, list):
            raise _problem(value, f"[]{_go(kind.item)}", owner, path)
        item = kind.item
        return [
            conform(one, item, notes, owner=owner, path=f"{path}[{index}]")
            for index, one in enumerate(value)
            if one is not None
        ]
    if kind.kind == "map" and kind.item:
        if not isinstance(value, dict):
            raise _problem(value, f"map[string]{_go(kind.item)}", owner, path)
        item = kind.item
        return {
            str(key): conform(one, item, notes, owner=owner, path=f"{path}.{key}")
            for key, one in value.items()
            if one is not None
        }
    return _SCALARS[kind.kind](value, owner, path)


def _conform_struct(value: Any, shape: Struct, notes: Conformed, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _problem(value, f"v1.{shape.name}", "", path)
    result: dict[str, Any] = {}
    for key, one in value.items():
        known = shape.fields.get(key)
        where = f"{path}.{key}" if path else key
        if known is None:
            notes.unknown.append(where)
        elif one is not None:
            held = conform(one, known.type, notes, owner=shape.name, path=where)
            if known.omit_zero and not held:
                continue
            if not known.required and not held and known.type.kind in {"list", "map"}:
                continue
            result[key] = held
    return result


_GO = {
    "int": "int32",
    "long": "int64",
    "number": "float64",
    "time": "string",
    "microtime": "string",
    "bytes": "[]uint8",
    "any": "interface {}",
}


def _go(kind: Type) -> str:
    return f"v1.{kind.name}" if kind.kind == "struct" else _GO.get(kind.kind, kind.kind)


def _problem(value: Any, wanted: str, owner: str, path: str) -> TypeProblem:
    found = {bool: "bool", str: "string", int: "number", float: "number", list: "array", dict: "object"}
    where = f"struct field {owner}.{path}" if path and owner else f"struct field {path}" if path else "value"
    return TypeProblem(
        f"json: cannot unmarshal {found.get(type(value), 'value')} into Go {where} of type {wanted}",
        f"unrecognized type: {wanted}",
    )


def _string(value: Any, owner: str, path: str) -> str:
    if not isinstance(value, str):
        raise _problem(value, "string", owner, path)
    return value


def _bytes(value: Any, owner: str, path: str) -> str:
    text = _string(value, owner, path)
    try:
        base64.b64decode(text.translate(_LINE_ENDS), validate=True)
    except ValueError:
        at = next((index for index, one in enumerate(text) if one not in _BASE64), len(text) // 4 * 4)
        why = f"illegal base64 data at input byte {at}"
        raise TypeProblem(why, why) from None
    return text


def _bool(value: Any, owner: str, path: str) -> bool:
    if not isinstance(value, bool):
        raise _problem(value, "bool", owner, path)
    return value


def _integer(bits: int) -> Callable[[Any, str, str], int]:
    def check(value: Any, owner: str, path: str) -> int:
        whole = isinstance(value, float) and value.is_integer()
        if isinstance(value, bool) or not (isinstance(value, int) or whole):
            raise _problem(value, f"int{bits}", owner, path)
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise TypeProblem(
                f"json: cannot unmarshal number {value} into Go struct field {owner}.{path} of type int{bits}",
                f"unrecognized type: int{bits}",
            )
        return int(value)

    return check


def _number(value: Any, owner: str, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _problem(value, "float64", owner, path)
    return value


def _quantity(value: Any, owner: str, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _problem(value, "resource.Quantity", owner, path)
    text = str(value)
    if not QUANTITY.match(text):
        raise TypeProblem(QUANTITY_RULE, QUANTITY_RULE)
    return text


def _intstr(value: Any, owner: str, path: str) -> int | str:
    if isinstance(value, str):
        return value
    return _integer(32)(value, owner, path)


def _time(value: Any, owner: str, path: str) -> str:
    text = _string(value, owner, path)
    if not _TIME.match(text):
        why = f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        raise TypeProblem(why, why)
    return text


def _any(value: Any, _owner: str, _path: str) -> Any:
    return value


_SCALARS: dict[str, Callable[[Any, str, str], Any]] = {
    "string": _string,
    "bytes": _bytes,
    "bool": _bool,
    "int": _integer(32),
    "long": _integer(64),
    "number": _number,
    "quantity": _quantity,
    "intstr": _intstr,
    "time": _time,
    "microtime": _time,
    "any": _any,
}
