"""Label and field selectors: parsed once per request, then predicates over stored objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.api.errors import bad_request

Predicate = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"^(?P<key>[^\s!=<>,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_COMPARE = re.compile(r"^(?P<key>[^\s!=<>,()]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s!=<>,()]*)$")
_EXISTS = re.compile(r"^(?P<not>!?)\s*(?P<key>[^\s!=<>,()]+)$")


def _split(text: str) -> list[str]:
    """Cut at commas outside of parentheses."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return [part.strip() for part in parts]


def _labels(body: Mapping[str, Any]) -> Mapping[str, str]:
    labels: Mapping[str, str] = body["metadata"].get("labels") or {}
    return labels


def _requirement(text: str) -> Predicate:
    if match := _SET.match(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda body: _labels(body).get(key) in values
        return lambda body: _labels(body).get(key) not in values
    if match := _COMPARE.match(text):
        return _comparison(match["key"], match["op"], match["value"])
    if match := _EXISTS.match(text):
        key = match["key"]
        if match["not"]:
            return lambda body: key not in _labels(body)
        return lambda body: key in _labels(body)
    words = text.split()
    found = words[1] if len(words) > 1 else ""
    raise bad_request(f"unable to parse requirement: found '{found}', expected: in, notin, =, ==, !=, gt, lt")


def _comparison(key: str, op: str, value: str) -> Predicate:
    if op in {"=", "=="}:
        return lambda body: _labels(body).get(key) == value
    if op == "!=":
        return lambda body: _labels(body).get(key) != value
    if not re.fullmatch(r"-?\d+", value):
        raise bad_request(
            f"unable to parse requirement: values[0][{key}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators,"
            " the value must be an integer"
        )
    bound, sign = int(value), 1 if op == ">" else -1

    def compare(body: Mapping[str, Any]) -> bool:
        held = _labels(body).get(key, "")
        return bool(re.fullmatch(r"-?\d+", held)) and sign * int(held) > sign * bound

    return compare


def label_predicate(text: str | None) -> Predicate | None:
    """The predicate of a ``labelSelector``; None when it selects everything. Raises 400."""
    if not text or not text.strip():
        return None
    requirements = [_requirement(part) for part in _split(text) if part]
    return lambda body: all(requirement(body) for requirement in requirements)


def labels_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector object in the form of a query, as Scale's status and Tables show it."""
    selector = selector or {}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        key, operator, values = one.get("key", ""), one.get("operator", ""), ",".join(one.get("values") or ())
        parts.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(operator, f"!{key}")
        )
    return ",".join(parts)


def labels_match(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector object selects these labels."""
    predicate = label_predicate(labels_text(selector))
    return predicate is None or predicate({"metadata": {"labels": labels}})


def lookup(body: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or None."""
    value: Any = body
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def field_text(value: Any) -> str:
    """A field's value as field selectors compare it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


_GENERIC = ("metadata.name", "metadata.namespace")


def field_predicate(text: str | None, fields: Mapping[str, str]) -> Predicate | None:
    """The predicate of a ``fieldSelector``. ``fields`` maps this kind's names (beside name and namespace) to paths.

    Raises 400 for an unknown field, in the words of kinds with and without fields of their own.
    """
    if not text or not text.strip():
        return None
    tests: list[tuple[str, bool, str]] = []
    for part in text.split(","):
        if not part:
            continue
        match = re.match(r"^(?P<key>[^=!]+)(?P<op>==|=|!=)(?P<value>.*)$", part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        key = match["key"].strip()
        path = key if key in _GENERIC else fields.get(key)
        if path is None:
            known = ", ".join(f'"{one}"' for one in _GENERIC)
            raise bad_request(
                f"field label not supported: {key}"
                if fields
                else f'"{key}" is not a known field selector: only {known}'
            )
        tests.append((path, match["op"] != "!=", match["value"]))
    return lambda body: all((field_text(lookup(body, path)) == value) is wanted for path, wanted, value in tests)


def both(first: Predicate | None, second: Predicate | None) -> Predicate | None:
    """The conjunction of two predicates, None being the one that is always true."""
    if first is None or second is None:
        return first or second
    return lambda body: first(body) and second(body)
