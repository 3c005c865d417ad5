"""The environment of a container's process: values, references, the downward API."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from typing import Any

import psutil

from lab.client import Client
from lab.errors import ApiError
from lab.objects import annotations_of, labels_of, quantity
from lab.resources import CONFIGMAPS, SECRETS, Resource

Object = dict[str, Any]
_REFERENCE = re.compile(r"\$(\$|\([A-Za-z_][A-Za-z0-9_.-]*\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigError(Exception):
    """A container's configuration refers to something that is not there; the text is the kubelet's."""


@dataclass(frozen=True)
class PodFacts:
    """What the downward API may ask for."""

    pod: Object
    ip: str
    node: str
    node_ip: str


def expand(text: str, values: dict[str, str]) -> str:
    """Replace ``$(NAME)`` by known values; ``$$`` is a dollar sign; unknown names stay as they are."""

    def value(match: re.Match[str]) -> str:
        found = match.group(1)
        return "$" if found == "$" else values.get(found[1:-1], match.group(0))

    return _REFERENCE.sub(value, text)


async def resolve(client: Client, facts: PodFacts, container: Object, base: dict[str, str]) -> dict[str, str]:
    """``base`` with the container's ``envFrom`` and ``env`` on top.

    Raises :class:`ConfigError` for a missing reference, :class:`ApiError` when the API cannot be asked.
    """
    values = dict(base)
    namespace = facts.pod["metadata"]["namespace"]
    for source in container.get("envFrom") or []:
        for key, kind in (("configMapRef", CONFIGMAPS), ("secretRef", SECRETS)):
            if key in source:
                data = await _data(client, kind, namespace, source[key])
                values |= {f"{source.get('prefix', '')}{name}": text for name, text in data.items()}
    for entry in container.get("env") or []:
        if "valueFrom" in entry:
            found = await _value_from(client, facts, container, entry["valueFrom"])
            if found is not None:
                values[entry["name"]] = found
        else:
            values[entry["name"]] = expand(entry.get("value") or "", values)
    return values


async def _value_from(client: Client, facts: PodFacts, container: Object, source: Object) -> str | None:
    if "fieldRef" in source:
        return field(facts, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return _resource_field(container, source["resourceFieldRef"])
    for key, kind, word in (("configMapKeyRef", CONFIGMAPS, "ConfigMap"), ("secretKeyRef", SECRETS, "Secret")):
        if key in source:
            reference = source[key]
            namespace = facts.pod["metadata"]["namespace"]
            data = await _data(client, kind, namespace, reference)
            if reference["key"] in data:
                return data[reference["key"]]
            if reference.get("optional"):
                return None
            raise ConfigError(f"couldn't find key {reference['key']} in {word} {namespace}/{reference['name']}")
    raise ConfigError(f"invalid valueFrom: {', '.join(source) or 'empty'}")


async def _data(client: Client, kind: Resource, namespace: str, reference: Object) -> dict[str, str]:
    try:
        found = await client.get(kind, namespace, reference["name"])
    except ApiError as error:
        if not error.not_found:
            raise
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{kind.kind.lower()} "{reference["name"]}" not found') from None
    data = found.get("data") or {}
    if kind is not SECRETS:
        return dict(data)
    import base64

    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def field(facts: PodFacts, path: str) -> str:
    """A field of the downward API. Raises :class:`ConfigError` for one that does not exist."""
    meta, spec = facts.pod["metadata"], facts.pod["spec"]
    known = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": facts.node,
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": facts.ip,
        "status.podIPs": facts.ip,
        "status.hostIP": facts.node_ip,
        "status.hostIPs": facts.node_ip,
    }
    if path in known:
        return str(known[path])
    match = _SUBSCRIPT.fullmatch(path)
    if match is None:
        raise ConfigError(f"failed to resolve field {path}: unsupported fieldPath")
    section = labels_of(facts.pod) if match.group(1) == "labels" else annotations_of(facts.pod)
    return section.get(match.group(2), "")


def _resource_field(container: Object, reference: Object) -> str:
    """A request or limit in units of the divisor, rounded up; without a limit it is what the node has."""
    section, _, name = reference["resource"].partition(".")
    amount = (container.get("resources", {}).get(section) or {}).get(name)
    if amount is None:
        whole = {"cpu": os.cpu_count() or 1, "memory": psutil.virtual_memory().total}
        amount = whole.get(name, 0) if section == "limits" else 0
    # Binary fractions: 0.3 / 0.1 is a little more than 3, and is 3.
    return str(math.ceil(round(quantity(amount) / quantity(reference.get("divisor") or 1), 6)))
