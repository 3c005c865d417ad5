"""The cluster roles that every cluster has, and who is bound to them. Aggregation is left out: rules stand in full."""

from __future__ import annotations

from typing import Any

from lab.api.auth.rbac import GROUP
from lab.api.objects import Objects, Options
from lab.api.paths import Target

Body = dict[str, Any]
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_ALL = [*_WRITE, *_READ]
_CORE = ["configmaps", "endpoints", "pods", "replicationcontrollers", "serviceaccounts", "services"]
_SEEN = ["bindings", "events", "limitranges", "namespaces/status", "pods/log", "pods/status", "resourcequotas"]
_GROUPS = {
    "apps": ["deployments", "deployments/scale", "replicasets", "replicasets/scale"],
    "autoscaling": ["horizontalpodautoscalers"],
    "coordination.k8s.io": ["leases"],
    "networking.k8s.io": ["ingresses"],
    "policy": ["poddisruptionbudgets"],
}
_HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]


def _rule(group: str, resources: list[str], verbs: list[str]) -> Body:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _view() -> list[Body]:
    return [
        _rule("", [*_CORE, *_SEEN, "namespaces", "resourcequotas/status"], _READ),
        *(_rule(group, [*names, *(f"{name}/status" for name in names if "/" not in name)], _READ)
          for group, names in _GROUPS.items()),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
        _rule("events.k8s.io", ["events"], _READ),
        _rule("metrics.k8s.io", ["pods"], _READ),
    ]  # fmt: skip


def _edit() -> list[Body]:
    return [
        _rule("", ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"], _READ),
        _rule("", ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy"], _WRITE),
        _rule("", ["pods/eviction", "serviceaccounts/token"], ["create"]),
        _rule("", ["serviceaccounts"], ["impersonate"]),
        _rule("", [*_CORE, "events", "secrets"], _WRITE),
        *(_rule(group, names, _WRITE) for group, names in _GROUPS.items()),
        *_view(),
    ]


def _admin() -> list[Body]:
    return [
        _rule("authorization.k8s.io", ["localsubjectaccessreviews"], ["create"]),
        _rule(GROUP, ["rolebindings", "roles"], _ALL),
        *_edit(),
    ]


def _roles() -> dict[str, list[Body]]:
    reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
    return {
        "cluster-admin": [_rule("*", ["*"], ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
        "admin": _admin(),
        "edit": _edit(),
        "view": _view(),
        "system:basic-user": [
            _rule("authorization.k8s.io", reviews, ["create"]),
            _rule("authentication.k8s.io", ["selfsubjectreviews"], ["create"]),
        ],
        "system:discovery": [{"nonResourceURLs": [*_DISCOVERY, *_HEALTH], "verbs": ["get"]}],
        "system:public-info-viewer": [{"nonResourceURLs": _HEALTH, "verbs": ["get"]}],
    }


_BOUND = {
    "cluster-admin": ["system:masters"],
    "system:basic-user": ["system:authenticated"],
    "system:discovery": ["system:authenticated"],
    "system:public-info-viewer": ["system:authenticated", "system:unauthenticated"],
}


def create_default(objects: Objects) -> None:
    """Create what is missing; what people changed stays as they want it."""
    for name, rules in _roles().items():
        _create(objects, "clusterroles", name, {"rules": rules})
    for name, groups in _BOUND.items():
        subjects = [{"kind": "Group", "apiGroup": GROUP, "name": group} for group in groups]
        role = {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}
        _create(objects, "clusterrolebindings", name, {"subjects": subjects, "roleRef": role})


def _create(objects: Objects, plural: str, name: str, content: Body) -> None:
    row = objects.registry.find(GROUP, "v1", plural)
    if row is None:
        raise LookupError(f"the table has no {plural}")
    if objects.store.get(row.stored_as, "", name) is None:
        labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
        objects.create(Target(row), {"metadata": {"name": name, "labels": labels}, **content}, Options())
