"""Request bodies: the one place where bytes become an object. Another wire format is another entry in DECODERS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lab.api import errors
from lab.api.errors import ApiError
from lab.api.resources import Resource
from lab.api.schema import conform
from lab.api.shapes import Conformed, TypeProblem

ACCEPTED = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]


def _json(raw: bytes, kind: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        text = raw.decode("utf-8", "replace")
        raise _unrecognized(kind, f"{error} ({text[:100]})") from None


def _unrecognized(kind: str, why: str) -> ApiError:
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {kind}):"
        f" couldn't get version/kind; json parse error: {why}"
    )


def _yaml(raw: bytes, _kind: str) -> Any:
    import yaml

    try:
        return yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe loaders both
    except (yaml.YAMLError, ValueError) as error:
        text = " ".join(str(error).split())
        raise errors.bad_request(f"error parsing YAML: {text}") from None


def _protobuf(raw: bytes, kind: str) -> Any:
    from lab.api import protobuf

    try:
        return protobuf.decode(raw)
    except protobuf.Unread as problem:
        why = f"this server does not read {problem} as protobuf; send it as JSON or YAML"
        raise ApiError(415, "UnsupportedMediaType", why) from None
    except protobuf.Malformed as problem:
        raise errors.bad_request(f"the object provided is unrecognized (must be of type {kind}): {problem}") from None


DECODERS: dict[str, Callable[[bytes, str], Any]] = {
    "application/json": _json,
    "application/yaml": _yaml,
    "application/vnd.kubernetes.protobuf": _protobuf,
}


def media_type(content_type: str | None) -> str:
    """The type without parameters; absent means JSON, which is what the official Python client relies on."""
    return (content_type or "application/json").partition(";")[0].strip().lower() or "application/json"


def decode(raw: bytes, content_type: str | None, kind: str) -> Any:
    """A body as plain data. Raises 415 or 400."""
    decoder = DECODERS.get(media_type(content_type))
    if decoder is None:
        raise errors.unsupported_media_type(ACCEPTED)
    return decoder(raw, kind)


def decode_patch(raw: bytes) -> Any:
    """A patch as plain data. Raises 400; what is no JSON is, as in Go, reported as the string that it is not."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise errors.bad_request(
            "json: cannot unmarshal string into Go value of type map[string]interface {}"
        ) from None


def decode_object(raw: bytes, content_type: str | None, kind: str) -> dict[str, Any]:
    """A body that must be one object; an empty one is an empty object (as a DELETE's may be)."""
    value = decode(raw, content_type, kind) if raw.strip() else {}
    if not isinstance(value, dict):
        name = {list: "array", str: "string", int: "number", float: "number", bool: "bool"}.get(type(value), "null")
        raise _unrecognized(kind, f"json: cannot unmarshal {name} into Go value of type struct")
    return value


def typed(body: dict[str, Any], row: Resource, validation: str) -> tuple[dict[str, Any], list[str]]:
    """A decoded body as its kind holds it, and warnings for what it does not know.

    Raises 400 for another kind, for a value of a wrong type, and with ``validation`` "Strict" for unknown fields.
    """
    kind, version = body.get("kind") or row.kind, body.get("apiVersion") or row.api_version
    if kind != row.kind or version != row.api_version:
        raise errors.bad_request(
            f"the API version in the data ({version}, Kind={kind}) does not match the expected API version"
            f" ({row.api_version}, Kind={row.kind})"
        )
    notes = Conformed()
    handled = f'{row.kind} in version "{row.version}" cannot be handled as a {row.kind}'
    try:
        held = conform(body, row.type, notes)
    except TypeProblem as problem:
        raise errors.bad_request(f"{handled}: {problem.go}") from None
    unknown = [f'unknown field "{path}"' for path in notes.unknown]
    if unknown and validation == "Strict":
        raise errors.bad_request(f"{handled}: strict decoding error: {', '.join(unknown)}")
    held.pop("kind", None)
    held.pop("apiVersion", None)
    held["metadata"] = held.get("metadata") or {}
    held["metadata"].pop("selfLink", None)
    return held, unknown if validation != "Ignore" else []
