"""The JSON paths of printer columns: fields, indexes, and equality as in ``.conditions[?(@.type=="Ready")].status``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_STEP = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\\])+)
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]
      | \[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\]
      | \[\?\(\s*@\.(?P<key>[\w.\-/\\]+)\s*==\s*(?:'(?P<one>[^']*)'|"(?P<two>[^"]*)"|(?P<bare>\w+))\s*\)\]""",
    re.VERBOSE,
)
Step = Callable[[list[Any]], list[Any]]


def compiled(path: str) -> Callable[[Any], Any] | None:
    """A function from an object to the first value at the path (None when there is none), or None for no path."""
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    text = text if text.startswith((".", "[")) else f".{text}"
    steps, place = [], 0
    while place < len(text):
        match = _STEP.match(text, place)
        if match is None:
            return None
        steps.append(_step(match))
        place = match.end()

    def find(value: Any) -> Any:
        found = [value]
        for step in steps:
            found = step(found)
        return found[0] if found else None

    return find


def _step(match: re.Match[str]) -> Step:
    if match["index"] is not None:
        index = int(match["index"])
        return lambda values: [one[index] for one in values if isinstance(one, list) and -len(one) <= index < len(one)]
    if match["all"]:
        return _children
    if match["key"]:
        key, wanted = match["key"].replace("\\", ""), match["one"] or match["two"] or match["bare"] or ""
        return lambda values: [one for one in _children(values) if isinstance(one, dict) and _is(one.get(key), wanted)]
    name = match["single"] or match["double"] or re.sub(r"\\(.)", r"\1", match["field"] or "")
    return lambda values: [one[name] for one in values if isinstance(one, dict) and name in one]


def _children(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for one in values:
        found += one if isinstance(one, list) else one.values() if isinstance(one, dict) else ()
    return found


def _is(value: Any, wanted: str) -> bool:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return value is not None and text == wanted
