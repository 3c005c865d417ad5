"""JSON, merge and strategic merge patches, and the merge of server-side apply. All leave their arguments unchanged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lab.api.errors import bad_request, unprocessable, unsupported_media_type
from lab.api.schema import field_of
from lab.api.shapes import Field, Type

MEDIA = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def patched(media: str, face: dict[str, Any], sent: Any, kind: Type) -> dict[str, Any]:
    """``face`` after a patch of the given media type. Raises 415, 400, 422."""
    if media == "application/json-patch+json":
        return json_patch(face, sent)
    if media not in {"application/merge-patch+json", "application/strategic-merge-patch+json"}:
        raise unsupported_media_type()
    if not isinstance(sent, dict):
        name = "array" if isinstance(sent, list) else "string"
        raise bad_request(f"json: cannot unmarshal {name} into Go value of type map[string]interface {{}}")
    if media == "application/merge-patch+json":
        result: dict[str, Any] = merge_patch(face, sent)
        return result
    if kind.kind == "custom":
        raise unsupported_media_type([one for one in MEDIA if "strategic" not in one])
    return strategic_patch(face, sent, kind)


def json_patch(document: dict[str, Any], operations: Any) -> dict[str, Any]:
    """RFC 6902. Raises 422 for a path that is not there or a test that fails, 400 for what is no patch."""
    import jsonpatch
    from jsonpointer import JsonPointerException

    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        patched = jsonpatch.JsonPatch(operations).apply(document)
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, KeyError) as error:
        raise unprocessable() from error
    if not isinstance(patched, dict):
        raise unprocessable()
    return patched


def merge_patch(document: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_patch(document: Any, patch: dict[str, Any], kind: Type | None) -> dict[str, Any]:
    """Strategic merge: lists with a merge key are merged item by item, and ``$`` directives are obeyed."""
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive is not None and directive != "merge":
        raise bad_request(f'Unknown patch type: "{directive}" in map[{go_text(patch)}]')
    for key, value in patch.items():
        if (key == "$retainKeys" or key.startswith((_ORDER, _DELETE))) and not isinstance(value, list):
            raise bad_request(f"{key} must be a list in map[{go_text(patch)}]")
    result: dict[str, Any] = dict(document) if isinstance(document, dict) else {}
    retain = patch.get("$retainKeys")
    if retain is not None:
        result = {key: value for key, value in result.items() if key in retain}
    for key, value in patch.items():
        if not key.startswith("$"):
            _merge_field(result, key, value, patch, kind)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            name = key.removeprefix(_DELETE)
            result[name] = [one for one in result.get(name) or () if one not in value]
        elif key.startswith(_ORDER) and key.removeprefix(_ORDER) not in patch:
            _reorder(result, key.removeprefix(_ORDER), value, field_of(kind, key.removeprefix(_ORDER)))
    return result


def _merge_field(result: dict[str, Any], key: str, value: Any, patch: dict[str, Any], kind: Type | None) -> None:
    known = field_of(kind, key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        merged = strategic_patch(result.get(key), value, known.type if known else None)
        if value.get("$patch") == "delete":
            result.pop(key, None)
        else:
            result[key] = merged
    elif isinstance(value, list) and known is not None and known.merge_key is not None:
        held = result.get(key)
        held = held if isinstance(held, list) else []
        order = patch.get(_ORDER + key)
        if known.merge_key == "":
            merged_list = held + [one for one in value if one not in held]
            result[key] = _ordered(merged_list, held, order, None) if order else merged_list
        else:
            merged_list = _merge_list(held, value, known)
            result[key] = _ordered(merged_list, held, order, known.merge_key) if order else merged_list
    else:
        result[key] = value


def _merge_list(held: list[Any], items: list[Any], known: Field) -> list[Any]:
    """Merge a list of objects by its key."""
    merge_key, item_type = known.merge_key or "", known.type.item
    plain = [item for item in items if isinstance(item, dict)]
    if len(plain) != len(items):
        raise bad_request(f"expected a list of objects for {known.name}")
    if any(item.get("$patch") == "replace" for item in plain):
        return [item for item in plain if item.get("$patch") != "replace"]
    result = list(held)
    for item in plain:
        if merge_key not in item:
            raise bad_request(f"map: map[{go_text(item)}] does not contain declared merge key: {merge_key}")
        identity = item[merge_key]
        places = [i for i, one in enumerate(result) if isinstance(one, dict) and one.get(merge_key) == identity]
        if item.get("$patch") == "delete":
            result = [one for i, one in enumerate(result) if i not in places]
        elif places:
            result[places[0]] = strategic_patch(result[places[0]], item, item_type)
        else:
            result.append(strategic_patch({}, item, item_type))
    return result


def _reorder(result: dict[str, Any], key: str, order: list[Any], known: Field | None) -> None:
    held = result.get(key)
    if isinstance(held, list) and known is not None and known.merge_key is not None:
        result[key] = _ordered(held, held, order, known.merge_key or None)


def _ordered(items: list[Any], server: list[Any], order: list[Any], merge_key: str | None) -> list[Any]:
    """Items named by ``order`` come in that order; the server's other items keep their place among them."""

    def identity(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    wanted = [identity(one) for one in order]
    places = [identity(one) for one in server]
    named = sorted((one for one in items if identity(one) in wanted), key=lambda one: wanted.index(identity(one)))
    others = [one for one in items if identity(one) not in wanted]
    result: list[Any] = []
    while named and others:
        left, right = identity(named[0]), identity(others[0])
        before = left in places and right in places and places.index(left) < places.index(right)
        result.append(named.pop(0) if before else others.pop(0))
    return result + named + others


def apply_merge(document: Any, applied: Any, kind: Type | None) -> Any:
    """The upsert of server-side apply: what is applied wins, keyed lists are merged, other lists replaced."""
    if not isinstance(document, dict) or not isinstance(applied, dict):
        return applied
    result = dict(document)
    for key, value in applied.items():
        known = field_of(kind, key)
        if isinstance(value, list) and known is not None and known.merge_key is not None:
            result[key] = _apply_list(result.get(key) or [], value, known)
        else:
            result[key] = apply_merge(result.get(key), value, known.type if known else None)
    return result


def _apply_list(held: list[Any], items: list[Any], known: Field) -> list[Any]:
    merge_key, item_type = known.merge_key, known.type.item
    if not merge_key:
        return held + [one for one in items if one not in held]
    applied = {_identity(item, merge_key): item for item in items}
    result = [
        apply_merge(one, applied.pop(identity), item_type)
        if (identity := _identity(one, merge_key)) in applied
        else one
        for one in held
    ]
    return result + list(applied.values())


def _identity(item: Any, merge_key: str) -> str:
    """An item's key as text: what clients send in its place may be anything."""
    return json.dumps(item.get(merge_key) if isinstance(item, dict) else item)


def go_text(value: Any) -> str:
    """A value as Go's %v prints it, for messages about patches."""
    if isinstance(value, Mapping):
        return " ".join(
            f"{key}:{f'map[{go_text(one)}]' if isinstance(one, Mapping) else go_text(one)}"
            for key, one in sorted(value.items())
        )
    if isinstance(value, list):
        return (
            "[" + " ".join(f"map[{go_text(one)}]" if isinstance(one, Mapping) else go_text(one) for one in value) + "]"
        )
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def shown(patch: Any) -> str:
    """A patch as the message of its 422 shows it."""
    return f"map[{go_text(patch)}]" if isinstance(patch, dict) else json.dumps(patch, separators=(",", ":"))
