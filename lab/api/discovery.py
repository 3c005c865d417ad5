"""Discovery, built from the table: /api, /apis and the list of each group and version."""

from __future__ import annotations

from typing import Any

from lab.api.resources import Registry, Resource

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.27.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}

# Subresources whose objects are not those of their parent: kind, group and version, verbs.
_OTHERS: dict[str, tuple[str, str, str, list[str]]] = {
    "scale": ("Scale", "autoscaling", "v1", ["get", "patch", "update"]),
    "eviction": ("Eviction", "policy", "v1", ["create"]),
    "binding": ("Binding", "", "", ["create"]),
    "token": ("TokenRequest", "authentication.k8s.io", "v1", ["create"]),
    "exec": ("PodExecOptions", "", "", ["create", "get"]),
}
_VERBS = {"log": ["get"], "status": ["get", "patch", "update"], "finalize": ["update"]}


def api_versions(address: str) -> dict[str, Any]:
    """/api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(registry: Registry) -> dict[str, Any]:
    """/apis."""
    groups = [_group(name, versions) for name, versions in registry.groups().items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> dict[str, Any] | None:
    """/apis/GROUP, or None."""
    versions = registry.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions else None


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(registry: Registry, group_name: str, version: str) -> dict[str, Any] | None:
    """/api/v1 or /apis/GROUP/VERSION, or None."""
    rows = registry.of_group(group_name, version)
    if not rows:
        return None
    resources = [entry for row in sorted(rows, key=lambda row: row.plural) for entry in _entries(row)]
    group_version = rows[0].api_version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def _entries(row: Resource) -> list[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": row.plural,
        "singularName": row.singular_name,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": list(row.verbs),
    }
    if row.short:
        entry["shortNames"] = list(row.short)
    if row.categories:
        entry["categories"] = list(row.categories)
    return [entry, *(_subresource(row, name) for name in sorted(row.subresources))]


def _subresource(row: Resource, name: str) -> dict[str, Any]:
    entry = {"name": f"{row.plural}/{name}", "singularName": "", "namespaced": row.namespaced}
    if name in _OTHERS:
        kind, group_name, version, verbs = _OTHERS[name]
        place = {"group": group_name, "version": version} if group_name else {}
        return {**entry, **place, "kind": kind, "verbs": verbs}
    return {**entry, "kind": row.kind, "verbs": _VERBS[name]}
