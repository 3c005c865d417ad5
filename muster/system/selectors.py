"""Which series a PromQL expression stands on, and which numbers it compares with: enough of the language for that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
    r"|(?P<range>\[[^\]]*\])"
    r"|(?P<duration>[0-9]+(?:ms|[smhdwy])(?:[0-9]+(?:ms|[smhdwy]))*\b)"
    r"|(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<other>=~|!~|!=|>=|<=|==|\S)"
)
_LABELS_FOLLOW = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = _LABELS_FOLLOW | {"bool", "and", "or", "unless", "offset", "inf", "nan", "atan2"}
_COMPARISONS = frozenset({">", "<", ">=", "<=", "==", "!="})


@dataclass(frozen=True)
class Selector:
    """One selector: a metric's name and its matchers ``(label, operator, value)``."""

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        inside = ",".join(f'{name}{operator}"{_quoted(value)}"' for name, operator, value in self.matchers)
        return f"{self.name}{{{inside}}}" if inside or not self.name else self.name

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels (the name aside) is selected. Regular expressions are Python's."""
        return all(_holds(operator, value, labels.get(name, "")) for name, operator, value in self.matchers)


def selectors(query: str) -> tuple[Selector, ...]:
    """The selectors of an expression, in their order, each once."""
    return tuple(dict.fromkeys(_selectors(list(_TOKEN.finditer(query)))))


def thresholds(query: str) -> tuple[float, ...]:
    """The numbers that an expression compares with, in their order (``x > 0.5`` gives 0.5)."""
    tokens, found = list(_TOKEN.finditer(query)), []
    for index, token in enumerate(tokens):
        if token[0] not in _COMPARISONS:  # inside braces they compare labels with text, never with numbers
            continue
        rest = [after for after in tokens[index + 1 : index + 4] if after[0] != "bool"]
        negative = bool(rest) and rest[0][0] == "-"
        number = rest[negative] if len(rest) > negative else None
        if number is not None and number["number"]:
            found.append(-float(number[0]) if negative else float(number[0]))
    return tuple(found)


def _selectors(tokens: list[re.Match[str]]) -> Iterator[Selector]:
    index = 0
    while index < len(tokens):
        token, following = tokens[index], tokens[index + 1][0] if index + 1 < len(tokens) else ""
        index += 1
        name = token[0] if token["name"] else ""
        if name.lower() in _LABELS_FOLLOW and following == "(":
            index = _closing(tokens, index, ")")
        elif token[0] == "{":
            closing = _closing(tokens, index, "}")
            yield Selector("", _matchers(tokens[index : closing - 1]))
            index = closing
        elif name and following == "{":
            closing = _closing(tokens, index + 1, "}")
            yield Selector(name, _matchers(tokens[index + 1 : closing - 1]))
            index = closing
        elif name and following not in {"(", "by", "without"} and name.lower() not in _WORDS:
            yield Selector(name)


def _closing(tokens: list[re.Match[str]], index: int, bracket: str) -> int:
    """The place after the next closing bracket."""
    while index < len(tokens) and tokens[index][0] != bracket:
        index += 1
    return index + 1


def _matchers(tokens: list[re.Match[str]]) -> tuple[tuple[str, str, str], ...]:
    words = [token[0] for token in tokens if token[0] != ","]
    return tuple(
        (name, operator, _unquoted(value))
        for name, operator, value in zip(words[::3], words[1::3], words[2::3], strict=False)
    )


def _unquoted(word: str) -> str:
    return word[1:-1] if word.startswith("`") else re.sub(r"\\(.)", r"\1", word[1:-1])


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _holds(operator: str, wanted: str, found: str) -> bool:
    if operator in {"=", "!="}:
        return (found == wanted) == (operator == "=")
    return (re.fullmatch(wanted, found) is not None) == (operator == "=~")
