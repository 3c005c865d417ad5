"""CustomResourceDefinition as a kind of the table: its columns, defaults, preparation and rules."""

from __future__ import annotations

import re
from typing import Any

from lab.api.columns import NAME, Column, at
from lab.api.custom import jsonpath
from lab.api.errors import Causes
from lab.api.rules import shown

Body = dict[str, Any]
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
COLUMNS = (NAME, Column("Created At", at("metadata.creationTimestamp"), "date"))
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_MAPS = ("properties", "patternProperties", "definitions")
_LISTS = ("allOf", "anyOf", "oneOf")
_COUNTS = ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties")
_NUMBERS = ("minimum", "maximum", "multipleOf")


def defaults(body: Body) -> None:
    """Names that follow from the kind, and no conversion."""
    spec = body.setdefault("spec", {})
    spec.setdefault("conversion", {"strategy": "None"})
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    if kind:
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")


def prepare(body: Body, old: Body | None) -> None:
    """A new definition has accepted nothing yet; its objects go before it does."""
    if old is not None:
        stored = list((old.get("status") or {}).get("storedVersions") or ())
        fresh = [one for one in _storage(body) if one not in stored]
        if fresh:
            body["status"] = {**(old.get("status") or {}), "storedVersions": stored + fresh}
        return
    body["metadata"]["finalizers"] = [*(body["metadata"].get("finalizers") or ()), CLEANUP]
    body["status"] = {
        "conditions": [],
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": _storage(body),
    }


def _storage(body: Body) -> list[str]:
    return [one["name"] for one in body["spec"].get("versions") or () if one.get("storage") and one.get("name")]


def validate(new: Body, old: Body | None, causes: Causes) -> None:
    """What must hold before a definition can be served."""
    spec = new["spec"]
    names, versions = spec.get("names") or {}, spec.get("versions") or []
    for path, value in (
        ("spec.group", spec.get("group")),
        ("spec.scope", spec.get("scope")),
        ("spec.names.plural", names.get("plural")),
        ("spec.names.kind", names.get("kind")),
    ):
        if not value:
            causes.required(path)
    scope = spec.get("scope")
    if scope and scope not in {"Cluster", "Namespaced"}:
        causes.unsupported("spec.scope", scope, ["Cluster", "Namespaced"])
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if new["metadata"].get("name") != wanted:
        name = shown(new["metadata"].get("name", ""))
        causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if not versions or sum(bool(one.get("storage")) for one in versions) != 1:
        count = "[]" if not versions else shown([one.get("name", "") for one in versions])
        causes.invalid("spec.versions", count, "must have exactly one version marked as storage version")
    for index, one in enumerate(versions):
        _version(one, f"spec.versions[{index}]", causes)
    if old is not None:
        for key in ("group", "scope"):
            if spec.get(key) != old["spec"].get(key):
                causes.invalid(f"spec.{key}", shown(spec.get(key)), "field is immutable")


def _version(one: Body, path: str, causes: Causes) -> None:
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", one.get("name") or ""):
        causes.invalid(f"{path}.name", shown(one.get("name", "")), "must be a DNS-1035 label")
    schema = (one.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        causes.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
    else:
        where = f"{path}.schema.openAPIV3Schema"
        if isinstance(schema, dict) and schema.get("type") != "object":
            causes.invalid(f"{where}.type", shown(schema.get("type", "")), "must be object at the root")
        _schema(schema, where, causes)
    for index, column in enumerate(one.get("additionalPrinterColumns") or ()):
        where = f"{path}.additionalPrinterColumns[{index}]"
        if jsonpath.compiled(column.get("jsonPath") or "") is None:
            causes.invalid(f"{where}.jsonPath", shown(column.get("jsonPath", "")), "is not a JSON path")


def _schema(schema: Any, path: str, causes: Causes) -> None:
    """Whether a schema is one: everything that is built upon it later takes this for granted."""
    if not isinstance(schema, dict):
        causes.invalid(path, shown(schema), "must be a schema")
        return
    if "type" in schema and schema["type"] not in _TYPES:
        causes.unsupported(f"{path}.type", str(schema["type"]), list(_TYPES))
    for name in _MAPS:
        inner = schema.get(name)
        if inner is not None and not isinstance(inner, dict):
            causes.invalid(f"{path}.{name}", shown(inner), "must be an object")
            continue
        for key, one in (inner or {}).items():
            _schema(one, f"{path}.{name}[{key}]", causes)
    for name in _LISTS:
        inner = schema.get(name)
        if inner is not None and not isinstance(inner, list):
            causes.invalid(f"{path}.{name}", shown(inner), "must be an array")
            continue
        for index, one in enumerate(inner or ()):
            _schema(one, f"{path}.{name}[{index}]", causes)
    for name in ("items", "not", "additionalProperties"):
        inner = schema.get(name)
        if inner is not None and not (name == "additionalProperties" and isinstance(inner, bool)):
            _schema(inner, f"{path}.{name}", causes)
    _values(schema, path, causes)


def _values(schema: Body, path: str, causes: Causes) -> None:
    for name in ("required", "x-kubernetes-list-map-keys", "enum"):
        value = schema.get(name)
        strings = name == "enum" or (isinstance(value, list) and all(isinstance(one, str) for one in value))
        if value is not None and not (isinstance(value, list) and strings):
            causes.invalid(
                f"{path}.{name}", shown(value), "must be an array" + ("" if name == "enum" else " of strings")
            )
    for name in (*_COUNTS, *_NUMBERS):
        value = schema.get(name)
        number = isinstance(value, int if name in _COUNTS else int | float) and not isinstance(value, bool)
        if value is not None and not number:
            causes.invalid(f"{path}.{name}", shown(value), "must be a number")
    pattern = schema.get("pattern")
    if pattern is not None:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            causes.invalid(f"{path}.pattern", shown(pattern), f"must be a valid regular expression, but isn't: {error}")
