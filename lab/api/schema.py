"""The types of the API, read from ``types.txt``: decoding, OpenAPI, patches and apply are driven by them."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

QUANTITY = re.compile(r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$")
QUANTITY_RULE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_FIELD = re.compile(r"^(?P<name>[A-Za-z]\w*)(?P<flags>[!?]*):(?P<type>[^@+]+)(?P<merge>@\w*)?(?P<keys>\+keys)?$")
_BASE64 = set(string.ascii_letters + string.digits + "+/\r\n")
_LINE_ENDS = {10: None, 13: None}
_TOP = "metadata:ObjectMeta apiVersion:string kind:string"


class TypeProblem(Exception):  # noqa: N818 - carries Go's words; the caller chooses the status
    """A value does not have the type of its field. ``go`` is json.Unmarshal's wording, ``short`` that of patches."""

    def __init__(self, go: str, short: str) -> None:
        super().__init__(go)
        self.go = go
        self.short = short


@dataclass(frozen=True, slots=True)
class Type:
    """``kind`` is a scalar's name, "list", "map", "struct" or "custom" (a structural ``schema`` says the rest).

    ``item`` is what a list or map holds.
    """

    kind: str
    item: Type | None = None
    name: str = ""
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct. ``merge_key`` is None for atomic lists, "" for sets of primitives."""

    name: str
    type: Type
    required: bool = False
    omit_zero: bool = False
    merge_key: str | None = None
    retain_keys: bool = False


@dataclass(frozen=True)
class Struct:
    """A named struct; ``top`` when it is an object of its own."""

    name: str
    fields: dict[str, Field]
    top: bool = False


def _type(text: str) -> Type:
    if text.startswith("["):
        return Type("list", _type(text[1:-1]))
    if text.startswith("{"):
        return Type("map", _type(text[1:-1]))
    return Type("struct", name=text) if text[0].isupper() else Type(text)


def _field(text: str) -> Field:
    match = _FIELD.match(text)
    if match is None:
        raise ValueError(f"types.txt: {text!r} is not a field")
    return Field(
        match["name"],
        _type(match["type"]),
        required="!" in match["flags"],
        omit_zero="?" in match["flags"],
        merge_key=match["merge"][1:] if match["merge"] else None,
        retain_keys=bool(match["keys"]),
    )


@cache
def structs() -> dict[str, Struct]:
    """All structs by name."""
    text = (Path(__file__).parent / "types.txt").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found: dict[str, Struct] = {}
    for line in text.replace("\n    ", " ").splitlines():
        head, _, rest = line.partition(":")
        name, top = head.rstrip("*"), head.endswith("*")
        fields = [_field(one) for one in (f"{_TOP} {rest}" if top else rest).split()]
        found[name] = Struct(name, {one.name: one for one in fields}, top)
    return found


def struct(name: str) -> Type:
    """The type of a struct, by name."""
    return Type("struct", name=structs()[name].name)


def field_of(kind: Type | None, key: str) -> Field | None:
    """The field ``key`` of a struct or map type, or None when it is not known (then nothing is known below it)."""
    if kind is None:
        return None
    if kind.kind == "struct":
        return structs()[kind.name].fields.get(key)
    if kind.kind == "map" and kind.item:
        return Field(key, kind.item)
    if kind.kind == "custom":
        from lab.api.custom import typed

        return typed.field_of(kind.schema or {}, key)
    return None


@dataclass
class Conformed:
    """What :func:`conform` noticed on its way."""

    unknown: list[str] = field(default_factory=list)


def conform(value: Any, kind: Type, notes: Conformed, *, owner: str = "", path: str = "") -> Any:
    """A copy of ``value`` as the typed server would hold it.

    Unknown fields and nulls are dropped (the former noted), empty lists and maps of optional fields too. The result
    shares no mutable part with ``value`` except below ``any``. Raises :class:`TypeProblem`.
    Of a custom resource, only metadata is typed here; the rest is pruned by its schema.
    """
    if kind.kind == "custom":
        from lab.api.custom import typed

        return typed.conform(value, kind.schema or {}, notes)
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
