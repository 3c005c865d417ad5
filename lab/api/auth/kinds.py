"""Roles, bindings and secrets as kinds of the table: their columns, defaults and rules."""

from __future__ import annotations

from typing import Any

from lab.api.columns import AGE, NAME, Column, at, of, wide
from lab.api.errors import Causes
from lab.api.rules import shown
from lab.api.validation import keyed

Body = dict[str, Any]
_GROUP = "rbac.authorization.k8s.io"


def _subjects(kind: str) -> Column:
    def cell(body: Body) -> str:
        chosen = [one for one in body.get("subjects") or () if one.get("kind") == kind]
        return ", ".join(f"{one['namespace']}/{one['name']}" if one.get("namespace") else one["name"] for one in chosen)

    return wide(f"{kind}s", of(cell))


ROLES = (NAME, Column("Created At", at("metadata.creationTimestamp"), "date"))
BINDINGS = (
    NAME,
    Column("Role", of(lambda body: f"{body['roleRef']['kind']}/{body['roleRef']['name']}")),
    AGE,
    _subjects("User"),
    _subjects("Group"),
    _subjects("ServiceAccount"),
)


# -- roles and bindings


def binding_defaults(body: Body) -> None:
    """Users, groups and roles are of the one API group that has them."""
    body.setdefault("roleRef", {}).setdefault("apiGroup", _GROUP)
    for subject in body.get("subjects") or ():
        if subject.get("kind") in {"User", "Group"}:
            subject.setdefault("apiGroup", _GROUP)


def role(new: Body, _old: Body | None, causes: Causes) -> None:
    """A Role: its rules are about resources of its namespace."""
    _rules(new, causes, namespaced=True)


def cluster_role(new: Body, _old: Body | None, causes: Causes) -> None:
    """A ClusterRole: its rules may be about paths too."""
    _rules(new, causes, namespaced=False)


def _rules(new: Body, causes: Causes, *, namespaced: bool) -> None:
    for index, rule in enumerate(new.get("rules") or ()):
        where = f"rules[{index}]"
        if not rule.get("verbs"):
            causes.required(f"{where}.verbs", "verbs must contain at least one value")
        urls = rule.get("nonResourceURLs")
        if urls:
            if namespaced:
                causes.invalid(
                    f"{where}.nonResourceURLs", shown(urls), "namespaced rules cannot apply to non-resource URLs"
                )
            if any(rule.get(name) for name in ("apiGroups", "resources", "resourceNames")):
                words = "rules cannot apply to both regular resources and non-resource URLs"
                causes.invalid(f"{where}.nonResourceURLs", shown(urls), words)
            continue
        if not rule.get("apiGroups"):
            causes.required(f"{where}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            causes.required(f"{where}.resources", "resource rules must supply at least one resource")


def role_binding(new: Body, old: Body | None, causes: Causes) -> None:
    """A RoleBinding: to a Role of its namespace or to a ClusterRole."""
    _binding(new, old, causes, ["ClusterRole", "Role"])


def cluster_role_binding(new: Body, old: Body | None, causes: Causes) -> None:
    """A ClusterRoleBinding."""
    _binding(new, old, causes, ["ClusterRole"])


def _binding(new: Body, old: Body | None, causes: Causes, kinds: list[str]) -> None:
    about = new["roleRef"]
    if about.get("apiGroup") != _GROUP:
        causes.unsupported("roleRef.apiGroup", str(about.get("apiGroup")), [_GROUP])
    if about.get("kind") not in kinds:
        causes.unsupported("roleRef.kind", str(about.get("kind", "")), kinds)
    if not about.get("name"):
        causes.required("roleRef.name")
    if old is not None and about != old.get("roleRef"):
        causes.invalid("roleRef", shown(about), "cannot change roleRef")
    for index, subject in enumerate(new.get("subjects") or ()):
        where, kind = f"subjects[{index}]", subject.get("kind", "")
        if not subject.get("name"):
            causes.required(f"{where}.name")
        wanted = "" if kind == "ServiceAccount" else _GROUP
        if kind not in {"Group", "ServiceAccount", "User"}:
            causes.unsupported(f"{where}.kind", kind, ["Group", "ServiceAccount", "User"])
        elif subject.get("apiGroup", "") != wanted:
            causes.unsupported(f"{where}.apiGroup", subject["apiGroup"], [wanted])
        elif kind == "ServiceAccount" and not subject.get("namespace"):
            causes.required(f"{where}.namespace")


# -- secrets

_WANTED_KEYS = {
    "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
    "kubernetes.io/ssh-auth": ["ssh-privatekey"],
    "kubernetes.io/tls": ["tls.crt", "tls.key"],
}


def secret(new: Body, old: Body | None, causes: Causes) -> None:
    """A Secret: what its type asks for is there, and its type never changes. No message shows a value."""
    keyed(new, old, causes)
    kind, data = new["type"], new.get("data") or {}
    for key in _WANTED_KEYS.get(kind, []):
        if key not in data:
            causes.required(f"data[{key}]")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        causes.required("data[username]")
        causes.required("data[password]")
    if old is not None and kind != old["type"]:
        causes.invalid("type", shown(kind), "field is immutable")
    if old is not None and old.get("immutable") and not new.get("immutable"):
        causes.forbidden("immutable", "field is immutable when `immutable` is set")
