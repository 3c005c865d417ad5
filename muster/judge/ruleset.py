"""The loaded rules against those that the facts ask for: present, the same, and evaluated without error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.system.units import duration

ALERTING, RECORDING = "alerting", "recording"
_NOT_LOADED = (
    "Prometheus has none of the facts' {count} rules, so no alert can fire: `muster rules` writes what to load; a "
    "PrometheusRule that is applied and not loaded is not selected: Prometheus' ruleSelector wants labels that "
    "`rules.labels` of the environment does not name, or its ruleNamespaceSelector another namespace"
)
_SAME_FOR_S = 0.0005  # Prometheus counts whole milliseconds
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
    r"|(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<other>=~|!~|!=|>=|<=|==|\S)"
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One loaded rule, ``alerting`` or ``recording``; ``health`` is ok, err or unknown (not evaluated yet)."""

    name: str
    group: str
    query: str
    for_s: float
    labels: Mapping[str, str]
    health: str
    last_error: str
    state: str
    kind: str = ALERTING


@dataclass(frozen=True, kw_only=True)
class ExpectedRule:
    """One rule as the facts ask for it in this environment: ``for_s`` in seconds, at the environment's scale."""

    name: str
    kind: str
    query: str
    for_s: float
    labels: Mapping[str, str]


def rules(raw: list[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The typed view of the reading ``rules``."""
    return tuple(Rule(**entry) for entry in raw)


def expected_rules(raw: list[Mapping[str, Any]]) -> tuple[ExpectedRule, ...]:
    """The typed view of the reading ``expected_rules``."""
    return tuple(ExpectedRule(**entry) for entry in raw)


def assert_every_rule_is_loaded(rules: tuple[Rule, ...], expected: tuple[ExpectedRule, ...]) -> None:
    """Each rule of the facts is in force, is what the facts say, and Prometheus evaluates it without error.

    An alert is the same when its expression, its ``for`` and every label of the facts are; further labels may be there.
    What a recording rule computes is not compared, for Prometheus prints long expressions in its own way.
    """
    if not expected:
        raise Unknown("the facts ask for no rule, so there is nothing to look for")
    named = {(rule.kind, rule.name) for rule in rules}
    claim(any((rule.kind, rule.name) in named for rule in expected), _NOT_LOADED.format(count=len(expected)))
    missing = {rule.name: rule.kind for rule in expected if (rule.kind, rule.name) not in named}
    silent = "it can never fire" if ALERTING in missing.values() else "what stands on it is silent"
    claim(not missing, f"Prometheus has no rule {', '.join(missing)}: {silent}; `muster rules` writes what to load")
    wanted = {(rule.kind, rule.name) for rule in expected}
    ours = [rule for rule in rules if (rule.kind, rule.name) in wanted]
    for rule in ours:
        found = _differences(rule, expected)
        claim(not found, f"rule {rule.name} is not what the facts say: it has {'; '.join(found)}")
    for entry in expected:
        loaded = any(rule.name == entry.name and not _differences(rule, (entry,)) for rule in ours)
        claim(loaded, f"Prometheus has no rule {entry.name} for {entry.query}: it can never fire")
    for rule in ours:
        claim(rule.health != "err", f"rule {rule.name} cannot be evaluated: {rule.last_error}")
    for rule in ours:
        if rule.health != "ok":
            raise Unknown(f"rule {rule.name} has not been evaluated yet")


def _differences(rule: Rule, expected: tuple[ExpectedRule, ...]) -> list[str]:
    """How the rule differs from that rule of its name that it is most like; empty when it is one of them."""
    namesakes = [entry for entry in expected if (entry.kind, entry.name) == (rule.kind, rule.name)]
    return min((list(_unlike(rule, entry)) for entry in namesakes), key=len)


def _unlike(rule: Rule, entry: ExpectedRule) -> Iterator[str]:
    if rule.kind == ALERTING and canonical(rule.query) != canonical(entry.query):
        yield f"the expression {rule.query} (facts: {entry.query})"
    if abs(rule.for_s - entry.for_s) > _SAME_FOR_S:
        yield f"for {duration(rule.for_s)} (facts: {duration(entry.for_s)})"
    for name, value in entry.labels.items():
        if rule.labels.get(name, "") != value:
            yield f"{name} {rule.labels.get(name, '') or 'absent'} (facts: {value})"


def canonical(query: str) -> tuple[str, ...]:
    """The tokens of a PromQL expression, the same however it is printed.

    Spaces, the order of matchers, the kind of quotes and the way a number is written do not count.
    """
    words: list[str] = []
    matchers: list[tuple[str, ...]] | None = None  # of the braces that are open
    for word in map(_plain, _TOKEN.finditer(query)):
        if word == "{":
            matchers = [()]
        elif matchers is None:
            words.append(word)
        elif word == "}":
            words += ["{", *(part for matcher in sorted(filter(None, matchers)) for part in matcher), "}"]
            matchers = None
        elif word == ",":
            matchers.append(())
        else:
            matchers[-1] += (word,)
    return tuple(words)


def _plain(match: re.Match[str]) -> str:
    word = match[0]
    if match["number"]:
        return repr(float(word))
    if match["text"] is None:
        return word
    inside = word[1:-1]
    return '"' + (inside if word[0] == "`" else re.sub(r"\\(.)", r"\1", inside))
