"""Where in a YAML file a fact stands, and what is known there: for errors that can be acted on."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml
from pydantic import BaseModel

Path = Sequence[str | int]


def line_of(node: yaml.Node | None, path: Path) -> int:
    """The line (from 1) of ``path`` below ``node``, or of the nearest fact above it that exists."""
    line = 1
    for step in path:
        found = _child(node, step)
        if found is None:
            break
        key, node = found
        line = key.start_mark.line + 1
    return line


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def duplicates(node: yaml.Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Keys written twice in one mapping (YAML would silently keep the last): their path and second line."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from duplicates(item, (*path, str(index)))
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name = str(key.value)
        if name in seen:
            yield (*path, name), key.start_mark.line + 1
        seen.add(name)
        yield from duplicates(value, (*path, name))


def known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that may stand at ``path`` below ``model``, as they are written in the file."""
    current: Any = model
    for step in path:
        current = _annotation(current, step)
    owner = _model(current)
    return [field.alias or name for name, field in owner.model_fields.items()] if owner else []


def _annotation(current: Any, step: str | int) -> Any:
    owner = _model(current)
    if owner is not None:
        fields = {field.alias or name: field.annotation for name, field in owner.model_fields.items()}
        return fields.get(str(step))
    arguments = [part for part in _parts(current) if typing.get_origin(part) in (dict, list)]
    return typing.get_args(arguments[0])[-1] if arguments else None


def _model(annotation: Any) -> type[BaseModel] | None:
    return next((part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _parts(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def offer(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'? known: x, y)``, or only what is known when nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    listed = f"known: {', '.join(names)}" if names else "none is known"
    return f"did you mean {near[0]!r}? {listed}" if near else listed
