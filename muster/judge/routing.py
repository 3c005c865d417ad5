"""Alertmanager's routing tree, walked as Alertmanager walks it: which receivers does an alert reach?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown

_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^",{}\s]*)\s*')
_SEPARATOR = re.compile(r"\s*,\s*")


@dataclass(frozen=True)
class Matcher:
    """One label matcher; a label that is absent counts as empty, regular expressions match the whole value."""

    name: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it."""
        found = labels.get(self.name, "")
        if self.operator in {"=", "!="}:
            return (found == self.value) == (self.operator == "=")
        try:
            matched = re.fullmatch(self.value, found) is not None
        except re.error as error:
            raise Unknown(f"matcher {self.name}{self.operator}{self.value!r} cannot be judged: {error}") from None
        return matched == (self.operator == "=~")


@dataclass(frozen=True)
class Route:
    """One node of the tree."""

    receiver: str
    matchers: tuple[Matcher, ...]
    continues: bool
    muted: bool  # has time intervals in which it tells nobody, or only in which it tells somebody
    routes: tuple[Route, ...]

    def receivers(self, labels: Mapping[str, str]) -> list[Route]:
        """The nodes that an alert with these labels ends in; empty when this node does not match.

        Children are tried in order; the first that matches takes the alert unless it says ``continue``; where no child
        matches the node itself does.
        """
        if not all(matcher.matches(labels) for matcher in self.matchers):
            return []
        found: list[Route] = []
        for child in self.routes:
            taken = child.receivers(labels)
            found += taken
            if taken and not child.continues:
                break
        return found or [self]


@dataclass(frozen=True)
class Routes:
    """The tree in force, the kinds of integrations of each receiver, and whether a responder is declared here."""

    root: Route
    receivers: Mapping[str, Sequence[str]]
    responder: bool

    def reached_by(self, labels: Mapping[str, str]) -> list[str]:
        """The names of the receivers that an alert with these labels reaches and that tell anybody."""
        return [route.receiver for route in self.root.receivers(labels) if self.receivers.get(route.receiver)]

    def muted_for(self, labels: Mapping[str, str]) -> list[str]:
        """The names of the receivers that such an alert reaches at some hours only."""
        return [route.receiver for route in self.root.receivers(labels) if route.muted]


def routes(raw: Mapping[str, Any]) -> Routes:
    """The typed view of the reading ``routes``."""
    return Routes(_route(raw["route"]), raw["receivers"], raw["responder"])


def matchers(text: str) -> Iterator[Matcher]:
    """The matchers of one line such as ``severity="critical"`` or ``{a="b",c=~"d|e"}``. Raises Unknown."""
    rest, position = text.strip().removeprefix("{").removesuffix("}"), 0
    while position < len(rest):
        match = _MATCHER.match(rest, position)
        if match is None:
            raise Unknown(f"Alertmanager's matcher {text!r} cannot be judged")
        yield Matcher(match[1], match[2], _unquoted(match[3]))
        position = match.end()
        if position < len(rest):
            separator = _SEPARATOR.match(rest, position)
            if separator is None:
                raise Unknown(f"Alertmanager's matcher {text!r} cannot be judged")
            position = separator.end()


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text[1:-1])


def _route(raw: Mapping[str, Any], inherited: str = "") -> Route:
    receiver = raw["receiver"] or inherited
    return Route(
        receiver=receiver,
        matchers=tuple(matcher for text in raw["matchers"] for matcher in matchers(text)),
        continues=raw["continue"],
        muted=raw["muted"],
        routes=tuple(_route(child, receiver) for child in raw["routes"]),
    )
