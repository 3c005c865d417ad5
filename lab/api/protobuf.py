"""Protobuf bodies as plain data: an envelope, a small reader of the wire format, and field numbers from a table.

kubectl sends some creates in this form only. Nothing is sent back in it: every client that writes it reads JSON too.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTH = {_FIXED64: 8, _FIXED32: 4}
_DEEPEST = 32
_MASK = (1 << 64) - 1


class Malformed(Exception):  # noqa: N818 - says what the bytes are
    """The bytes are not a message in this form."""


class Unread(Exception):  # noqa: N818 - says what it is
    """The envelope is sound, but the table lacks its kind, or a field that says something."""


@dataclass(frozen=True, slots=True)
class _Field:
    """``type`` as the table has it, without its marks; ``many`` is "list", "map" or ""."""

    name: str
    type: str
    many: str = ""
    pointer: bool = False


@dataclass(frozen=True)
class _Table:
    kinds: dict[tuple[str, str], str]
    messages: dict[str, dict[int, _Field]]


def decode(raw: bytes) -> dict[str, Any]:
    """An object with its kind and apiVersion. Raises :class:`Malformed` and :class:`Unread`."""
    if not raw.startswith(MAGIC):
        raise Malformed("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    about: dict[int, str] = {}
    content = b""
    for number, value in _fields(raw[len(MAGIC) :]):
        if number == 1:
            about = {inner: _text(part) for inner, part in _fields(_payload(value))}
        elif number == 2:
            content = _payload(value)
    version, kind = about.get(1, ""), about.get(2, "")
    name = "DeleteOptions" if kind == "DeleteOptions" else _table().kinds.get((version, kind))
    if name is None:
        raise Unread(f"{version}, Kind={kind}")
    return {"kind": kind, "apiVersion": version, **_message(content, name)}


# -- the table


@cache
def _table() -> _Table:
    found = _Table({}, {})
    for line in (Path(__file__).parent / "protobuf.txt").read_text().splitlines():
        head, _, rest = line.partition(":")
        if head.startswith("@"):
            for one in rest.split():
                kind, _, message = one.partition("=")
                found.kinds[head[1:], kind] = message or kind
        elif not head.startswith("#"):
            fields = (one.partition("=")[::2] for one in rest.split())
            found.messages[head] = {int(number): _field(text) for number, text in fields}
    return found


def _field(text: str) -> _Field:
    name, _, kind = text.partition(":")
    many = {"[": "list", "{": "map"}.get(kind[0], "")
    return _Field(name, kind.strip("[]{}?"), many, pointer=kind.endswith("?"))


# -- the wire


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < 64:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & _MASK, at
    raise Malformed("unexpected EOF")


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field; numbers as they stand on the wire, everything else as bytes."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        wire = tag & 7
        if wire == _VARINT:
            number, at = _varint(raw, at)
            yield tag >> 3, number
            continue
        size = _WIDTH.get(wire)
        if wire == _BYTES:
            size, at = _varint(raw, at)
        if size is None:
            raise Malformed(f"proto: illegal wireType {wire}")
        if at + size > len(raw):
            raise Malformed("unexpected EOF")
        yield tag >> 3, raw[at : at + size]
        at += size


# -- messages


def _message(raw: bytes, name: str, depth: int = 0) -> dict[str, Any]:
    """A message as the JSON object that Go would write. Nothing is lost: fields that are not known must be blank."""
    if depth > _DEEPEST:
        raise Malformed("nested too deeply")
    known = _table().messages[name]
    result: dict[str, Any] = {}
    for number, value in _fields(raw):
        field = known.get(number)
        if field is None:
            if not _blank(value):
                raise Unread(f"field {number} of {name}")
        elif field.type == "-":
            continue
        elif field.name == "~":
            result |= _message(_payload(value), field.type, depth + 1)
        elif field.many == "list":
            result.setdefault(field.name, []).append(_value(value, field.type, depth))
        elif field.many == "map":
            pair = dict(_fields(_payload(value)))
            key = _text(pair.get(1, b""))
            result.setdefault(field.name, {})[key] = _value(pair.get(2, b""), field.type, depth)
        else:
            single = _value(value, field.type, depth)
            if field.pointer or field.type == "intstr" or (single is not None and single not in ("", 0)):
                result[field.name] = single
    return result


def _blank(value: int | bytes) -> bool:
    """Whether a value says nothing: zero, empty, or a message of such fields."""
    if not value:
        return True
    try:
        return isinstance(value, bytes) and all(_blank(inner) for _, inner in _fields(value))
    except Malformed:
        return False


def _value(value: int | bytes, kind: str, depth: int) -> Any:
    if kind == "int":
        number = _number(value)
        return number - (1 << 64) if number >> 63 else number
    if kind == "bool":
        return bool(_number(value))
    if kind == "string":
        return _text(value)
    raw = _payload(value)
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    if kind in _SPECIAL:
        return _SPECIAL[kind](raw)
    return _message(raw, kind, depth + 1)


def _payload(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Malformed("proto: wrong wireType = 0")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise Malformed("proto: wrong wireType = 2")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _payload(value).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"a string is not UTF-8: {error.reason}") from None


def _time(raw: bytes) -> str | None:
    """Seconds and nanoseconds; an empty message is Go's zero time, which is no time."""
    parts = dict(_fields(raw))
    if not parts.get(1):
        return None
    try:
        return datetime.fromtimestamp(_number(parts[1]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        raise Malformed("a time is out of range") from None


def _quantity(raw: bytes) -> str:
    return _text(dict(_fields(raw)).get(1, b""))


def _number_or_text(raw: bytes) -> int | str:
    parts = dict(_fields(raw))
    return _text(parts.get(3, b"")) if parts.get(1) else _number(parts.get(2, 0))


def _strings(raw: bytes) -> list[str]:
    return [_text(value) for number, value in _fields(raw) if number == 1]


_SPECIAL = {"time": _time, "quantity": _quantity, "intstr": _number_or_text, "strings": _strings}
