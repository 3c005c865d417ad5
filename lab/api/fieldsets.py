"""Sets of fields: which fields an object has, as paths, and the ``FieldsV1`` form in which managedFields hold them.

https://github.com/kubernetes-sigs/structured-merge-diff names the elements of a path: ``f:NAME`` is a field,
``k:{...}`` an item of a list by its key, ``v:VALUE`` a member of a set. A list item is a member of its own; maps and
structs are there by their fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from lab.api.schema import field_of
from lab.api.shapes import Type

Path = tuple[str, ...]
Body = dict[str, Any]
ITEM = object()
"""The value of a path that says only that a list item is there."""
_METADATA = {"labels", "annotations", "finalizers", "ownerReferences"}


def fields(body: Body, kind: Type, *, status: bool) -> dict[Path, Any]:
    """What can be owned of an object: the value at each path. ``status`` or all but status."""
    found: dict[Path, Any] = {}
    for key, value in body.items():
        if key in {"apiVersion", "kind"} or (key == "status") is not status:
            continue
        known = field_of(kind, key)
        owned = value if key != "metadata" else {name: one for name, one in value.items() if name in _METADATA}
        if owned or key != "metadata":
            _walk(owned, known.type if known else None, None, (f"f:{key}",), found)
    return found


def _walk(value: Any, kind: Type | None, merge_key: str | None, path: Path, found: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value:
        for key, one in value.items():
            known = field_of(kind, key)
            inner, by = (known.type, known.merge_key) if known else (None, None)
            _walk(one, inner, by, (*path, f"f:{key}"), found)
    elif isinstance(value, list) and merge_key is not None:
        for one in value:
            where = (*path, element(one, merge_key))
            found[where] = ITEM
            if merge_key and isinstance(one, dict):
                _walk(one, kind.item if kind else None, None, where, found)
    else:
        found[path] = value


def element(item: Any, merge_key: str) -> str:
    """How a path names an item of a list."""
    if not merge_key:
        return f"v:{_json(item)}"
    return f"k:{_json({merge_key: item.get(merge_key) if isinstance(item, dict) else None})}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def prefixes(paths: Iterable[Path]) -> set[Path]:
    """All paths, and all that lead to them."""
    return {path[:length] for path in paths for length in range(1, len(path) + 1)}


def without(value: Any, removed: set[Path], kind: Type | None, path: Path = (), merge_key: str | None = None) -> Any:
    """``value`` without whatever is at or below the removed paths; the argument is left unchanged."""
    if isinstance(value, dict):
        result = {}
        for key, one in value.items():
            where = (*path, f"f:{key}")
            if where not in removed:
                known = field_of(kind, key)
                inner, by = (known.type, known.merge_key) if known else (None, None)
                result[key] = without(one, removed, inner, where, by)
        return result
    if isinstance(value, list) and merge_key is not None:
        kept = [(one, (*path, element(one, merge_key))) for one in value]
        item = kind.item if kind else None
        return [without(one, removed, item, where) for one, where in kept if where not in removed]
    return value


def encode(paths: Iterable[Path]) -> Body:
    """A set as FieldsV1."""
    root: Body = {}
    members = set(paths)
    for path in sorted(members):
        node = root
        for step in path:
            node = node.setdefault(step, {})
    for path in members:
        node = root
        for step in path:
            node = node[step]
        if node or path[-1].startswith("k:"):
            node["."] = {}
    return root


def decode(node: Any, path: Path = ()) -> set[Path]:
    """A set from FieldsV1. Raises ValueError when it is none."""
    if not isinstance(node, dict):
        raise ValueError(f"{node!r} is no set of fields")  # noqa: TRY004 - the caller tells a client, not a programmer
    if not node:
        return {path} if path else set()
    found: set[Path] = set()
    for step, inner in node.items():
        if step == ".":
            found.add(path)
        elif step[:2] in {"f:", "k:", "v:", "i:"}:
            found |= decode(inner, (*path, step))
        else:
            raise ValueError(f"{step!r} names no part of a path")
    return found


def shown(path: Path) -> str:
    """A path as conflicts name it: ``.spec.containers[name="web"].image``."""
    text = ""
    for step in path:
        kind, rest = step[0], step[2:]
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            text += "[" + ",".join(f"{key}={_json(one)}" for key, one in json.loads(rest).items()) + "]"
        else:
            text += f"[={rest}]" if kind == "v" else f"[{rest}]"
    return text
