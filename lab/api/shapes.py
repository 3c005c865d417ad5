"""The shapes of the API's types, read from ``types.txt``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_FIELD = re.compile(r"^(?P<name>[A-Za-z]\w*)(?P<flags>[!?]*):(?P<type>[^@+]+)(?P<merge>@\w*)?(?P<keys>\+keys)?$")
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


@dataclass
class Conformed:
    """What :func:`conform` noticed on its way."""

    unknown: list[str] = field(default_factory=list)
