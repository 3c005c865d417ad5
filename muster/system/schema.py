"""The facts' own JSON Schema, for editors: ``systems/*.yaml`` as it is written, quantities with their units as text.

What it cannot say (a reference that leads nowhere, a ladder that falls) is left to loading; loading says all of it.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from muster.system.environment import Environment
from muster.system.model import LEVELS, System
from muster.system.units import DURATION, Unit, duration, pattern_of

Schema = dict[str, Any]
_FILLED_LATER: Schema = {"type": "string", "pattern": r"\$\{[^}]+\}", "description": "Filled in when it is loaded."}
_OF_THE_LOADER = ("name", "base_dir")
_DEFINED = "#/$defs/"


def schema() -> Schema:
    """The schema of a whole file, as draft 2020-12."""
    _, made = models_json_schema([(System, "validation"), (Environment, "validation")], by_alias=True)
    definitions: dict[str, Schema] = made["$defs"]
    of_environments = _reachable(definitions, "Environment")
    _describe_fields(definitions)
    for name, definition in definitions.items():
        _tidy(definition)
        if name in of_environments:
            _let_fill(definition)
    for key in _OF_THE_LOADER:
        del definitions["Environment"]["properties"][key]
    _write_limits_with_units(definitions)
    root = definitions.pop("System")
    root["properties"]["environments"] = {
        "description": "Running copies of the system, by name.",
        "type": "object",
        "additionalProperties": {"$ref": f"{_DEFINED}Environment"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _reachable(definitions: dict[str, Schema], name: str) -> set[str]:
    found, waiting = set[str](), [name]
    while waiting:
        current = waiting.pop()
        found.add(current)
        named = re.findall(rf"{re.escape(_DEFINED)}(\w+)", str(definitions[current]))
        waiting += [one for one in named if one not in found]
    return found


def _tidy(node: Any) -> None:
    """No titles that only repeat a key, and defaults as they would be written."""
    if isinstance(node, list):
        for item in node:
            _tidy(item)
    if not isinstance(node, dict):
        return
    kinds = [kind for kind in node.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) < len(node.get("anyOf", [])):  # what is optional is left out, not written as null
        node.pop("default", None)
        node |= {"anyOf": kinds}
    if len(kinds) == 1:
        del node["anyOf"]
        node |= kinds[0]
    if isinstance(node.get("title"), str):
        del node["title"]
    for word in ("gt", "ge", "lt", "le"):  # of a number that is written as text: pydantic's words, not JSON Schema's
        if isinstance(node.get(word), int | float):
            del node[word]
    if node.get("pattern") == DURATION and isinstance(node.get("default"), float):
        node["default"] = duration(node["default"])
    elif node.get("pattern") == pattern_of(Unit.RATIO) and isinstance(node.get("default"), float):
        node["default"] = f"{node['default'] * 100:g}%"
    for item in node.values():
        _tidy(item)


def _let_fill(definition: Schema) -> None:
    """Whatever is no plain text already may be ``${key}`` in an environment."""
    for key, value in definition.get("properties", {}).items():
        plain = value.get("type") == "string" and not {"pattern", "enum", "const"} & value.keys()
        if plain or value.get("type") in ("object", "array") or "$ref" in str(value):
            continue
        said = {word: value.pop(word) for word in ("description", "default") if word in value}
        definition["properties"][key] = {**said, "anyOf": [*value.pop("anyOf", [value]), _FILLED_LATER]}


def _write_limits_with_units(definitions: dict[str, Schema]) -> None:
    """A limit's number has the unit of its indicator, which stands beside the ladder."""
    limit, slo = definitions["Limit"], definitions["Slo"]
    for side in ("above", "below"):
        limit["properties"][side] = {"type": ["string", "number"], "description": "A quantity with its unit."}
    limit["oneOf"] = [{"required": ["above"]}, {"required": ["below"]}]
    slo["allOf"] = [
        {
            "if": {"properties": {"unit": {"const": unit.value}}, "required": ["unit"]},
            "then": {"properties": {level: _sides(unit) for level in (*LEVELS, "target")}},
        }
        for unit in Unit
    ]


def _sides(unit: Unit) -> Schema:
    kinds = ["string", "number"] if unit is Unit.COUNT else ["string"]
    quantity = {"type": kinds, "pattern": pattern_of(unit)}
    return {"properties": {"above": quantity, "below": quantity}}


def _describe_fields(definitions: dict[str, Schema]) -> None:
    """The comment beside a field in the source is its description: it is written once."""
    models: list[type[BaseModel]] = [System, Environment, *_below(System), *_below(Environment)]
    for model in models:
        said = _comments(model)
        for name, field in model.model_fields.items():
            key = field.alias or name
            if name in said and key in (properties := definitions[model.__name__].get("properties", {})):
                properties[key].setdefault("description", said[name])


def _below(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Every model that the fields of ``model`` are made of."""
    found: list[type[BaseModel]] = []
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            if one not in found:
                found.append(one)
                waiting += [field.annotation for field in one.model_fields.values()]
        else:
            waiting += getattr(one, "__args__", ())
    return found


def _comments(model: type[BaseModel]) -> dict[str, str]:
    found: dict[str, str] = {}
    field, before = "", list[str]()
    for line in inspect.getsource(model).splitlines():
        if begins := re.match(r"    (\w+): ", line):
            field = begins[1]
            if before:
                found[field], before = " ".join(before), []
        elif alone := re.match(r"    # (.+)", line):
            before.append(alone[1])
            continue
        if field and (beside := re.search(r"  # (?!noqa|type:)(.+)$", line)):
            found.setdefault(field, beside[1])
        if re.match(r"    (def|@)", line):
            field = ""
    said = {name: text.replace("None: ", "left out: ").rstrip(".") for name, text in found.items()}
    return {name: f"{text[:1].upper()}{text[1:]}." for name, text in said.items()}
