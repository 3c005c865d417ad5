"""Checks and experiments as they stand in their files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from muster.errors import UsageError
from muster.plain_yaml import read_yaml

ENCODES = "runbook"  # the extension of an experiment that names the steps that it plays


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: its name as in findings, ``<runbook>#<section>`` and step of its marker, the readings it judges."""

    name: str
    anchor: str
    step: int
    readings: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment: the alert that it expects, the checks that it makes fail, the steps that it plays."""

    name: str
    title: str
    alert: str
    finds: frozenset[str]
    steps: frozenset[str]  # "<runbook>#<section>/<step>"


def checks(folder: Path) -> list[Check]:
    """Every check of a folder, by its decorators. Raises :class:`~muster.errors.UsageError` for a broken file."""
    found = []
    for file in sorted(folder.glob("test_*.py")):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError) as error:
            raise UsageError(f"{file} cannot be read: {error}") from None
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found += list(_check(file.stem.removeprefix("test_"), node))
    return found


def _check(stem: str, node: ast.FunctionDef) -> Iterator[Check]:
    """One for each ``@runbook`` of the function; one without an anchor when it has none."""
    name = f"{stem}.{node.name.removeprefix('test_')}"
    readings = frozenset(argument.arg for argument in node.args.args)
    marked = False
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and getattr(mark.func, "id", getattr(mark.func, "attr", "")) == "runbook":
            given = {keyword.arg: _literal(keyword.value) for keyword in mark.keywords}
            anchor = str(_literal(mark.args[0])) if mark.args else ""
            yield Check(name=name, anchor=anchor, step=int(given.get("step", 0)), readings=readings)
            marked = True
    if not marked:
        yield Check(name=name, anchor="", step=0, readings=readings)


def _literal(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else 0


def experiments(folder: Path) -> list[Experiment]:
    """Every experiment of a folder. Raises :class:`~muster.errors.UsageError` for a file that is not YAML."""
    found = []
    for file in sorted(folder.glob("*.yaml")):
        try:
            body = read_yaml(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{file}:{mark.line + 1}" if mark else str(file)
            raise UsageError(f"{place}: {getattr(error, 'problem', None) or 'it is not YAML'}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read: {error}") from None
        if isinstance(body, dict):
            found.append(_experiment(file.stem, body))
    return found


def _experiment(name: str, body: dict[str, Any]) -> Experiment:
    parts = {part.get("name"): part for part in body.get("extensions") or [] if isinstance(part, dict)}
    promised, encodes = parts.get("muster", {}), parts.get(ENCODES, {})
    return Experiment(
        name=name,
        title=str(body.get("title", name)),
        alert=str(promised.get("alert", "")),
        finds=frozenset(promised.get("finds") or ()),
        steps=frozenset(map(str, encodes.get("steps") or ())),
    )
