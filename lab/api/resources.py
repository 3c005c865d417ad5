"""The table of resources. A kind is a row: what is generic stands elsewhere and reads its row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.api import addresses, autoscalers, budgets, columns, defaults, events, preparation, validation
from lab.api.auth import kinds
from lab.api.columns import Column
from lab.api.custom import kind as definition
from lab.api.errors import Causes
from lab.api.shapes import Type, struct

Body = dict[str, Any]
READ_WRITE = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One row.

    ``type_name`` names its struct in types.txt (the kind's own name unless said otherwise), ``storage`` the kind under
    which the store holds it: two rows with one storage are two faces of the same objects, and ``inward``/``outward``
    translate between a face and what is stored. ``schema`` is the structural schema of a custom resource, and
    ``scale_paths`` where such a kind keeps desired replicas, actual replicas and its selector.
    """

    group: str
    version: str
    plural: str
    kind: str
    singular: str = ""
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = READ_WRITE
    type_name: str = ""
    storage: str = ""
    selectable: dict[str, str] = field(default_factory=dict)
    columns: tuple[Column, ...] = columns.GENERIC
    defaults: Callable[[Body], None] = defaults.nothing
    prepare: Callable[[Body, Body | None], None] = preparation.nothing
    validate: Callable[[Body, Body | None, Causes], None] = validation.nothing
    name_rule: str = "subdomain"
    allocate: Callable[[Body, list[Body]], None] | None = None
    generation: bool = False
    returns_deleted: bool = False
    inward: Callable[[Body], Body] | None = None
    outward: Callable[[Body], Body] | None = None
    schema: Body | None = None
    scale_paths: tuple[str, str, str] | None = None

    @property
    def api_version(self) -> str:
        """Such as apps/v1, or v1 for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_as(self) -> str:
        """The store's name of the kind."""
        return self.storage or (f"{self.plural}.{self.group}" if self.group else self.plural)

    @property
    def singular_name(self) -> str:
        """The kind in lower case, unless the row says otherwise."""
        return self.singular or self.kind.lower()

    @property
    def type(self) -> Type:
        """The struct of its objects."""
        return struct(self.type_name or self.kind) if self.schema is None else Type("custom", schema=self.schema)

    @property
    def has_status(self) -> bool:
        """Whether status is written through its own subresource only."""
        return "status" in self.subresources

    @property
    def prefix(self) -> str:
        """The path of its group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


def _same(*paths: str) -> dict[str, str]:
    """Field selectors that are named like the path they look at."""
    return {path: path for path in paths}


def _review(group: str, kind: str, *, namespaced: bool = False) -> Resource:
    """A question: it is answered and never stored."""
    plural, type_name = f"{kind.lower()}s", kind.removeprefix("Local")
    return Resource(group, "v1", plural, kind, namespaced=namespaced, verbs=("create",), type_name=type_name)


_RBAC = "rbac.authorization.k8s.io"
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

TABLE: tuple[Resource, ...] = (
    Resource(
        "", "v1", "namespaces", "Namespace", namespaced=False, short=("ns",), subresources=("status", "finalize"),
        verbs=tuple(verb for verb in READ_WRITE if verb != "deletecollection"), name_rule="label",
        selectable=_same("status.phase"), columns=columns.NAMESPACES, defaults=defaults.namespace,
        returns_deleted=True,
    ),
    Resource(
        "", "v1", "nodes", "Node", namespaced=False, short=("no",), subresources=("status",),
        selectable=_same("spec.unschedulable"), columns=columns.NODES,
    ),
    Resource(
        "", "v1", "pods", "Pod", short=("po",), categories=("all",),
        subresources=("status", "log", "exec", "eviction", "binding"),
        selectable=_same(
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
        ),
        columns=columns.PODS, defaults=defaults.pod, prepare=preparation.pod, validate=validation.pod,
        generation=True, returns_deleted=True,
    ),
    Resource(
        "", "v1", "services", "Service", short=("svc",), categories=("all",), subresources=("status",),
        selectable=_same("spec.clusterIP", "spec.type"), columns=columns.SERVICES, defaults=defaults.service,
        prepare=preparation.service, allocate=addresses.allocate, validate=validation.service,
        name_rule="dns1035", returns_deleted=True,
    ),
    Resource(
        "", "v1", "endpoints", "Endpoints", singular="endpoints", short=("ep",), columns=columns.ENDPOINTS,
        defaults=defaults.endpoints,
    ),
    Resource(
        "", "v1", "configmaps", "ConfigMap", short=("cm",), columns=columns.CONFIGMAPS, validate=validation.keyed,
    ),
    Resource(
        "", "v1", "secrets", "Secret", selectable=_same("type"), columns=columns.SECRETS, defaults=defaults.secret,
        validate=kinds.secret,
    ),
    Resource(
        "", "v1", "serviceaccounts", "ServiceAccount", short=("sa",), subresources=("token",),
        columns=columns.SERVICEACCOUNTS, returns_deleted=True,
    ),
    Resource(
        "", "v1", "events", "Event", short=("ev",), columns=columns.EVENTS, validate=validation.event,
        selectable={
            **{f"involvedObject.{name}": f"involvedObject.{name}" for name in _INVOLVED},
            **_same("reason", "reportingComponent", "type"), "source": "source.component",
        },
    ),
    Resource(
        "events.k8s.io", "v1", "events", "Event", short=("ev",), columns=columns.EVENTS, validate=validation.event,
        type_name="EventsEvent", storage="events", inward=events.inward, outward=events.outward,
        selectable={
            **{f"regarding.{name}": f"involvedObject.{name}" for name in _INVOLVED},
            **_same("reason", "type"), "reportingController": "reportingComponent",
        },
    ),
    Resource(
        "apps", "v1", "deployments", "Deployment", short=("deploy",), categories=("all",),
        subresources=("scale", "status"), columns=columns.DEPLOYMENTS, defaults=defaults.deployment,
        prepare=preparation.workload, validate=validation.deployment, generation=True,
    ),
    Resource(
        "apps", "v1", "replicasets", "ReplicaSet", short=("rs",), categories=("all",),
        subresources=("scale", "status"), selectable=_same("status.replicas"), columns=columns.REPLICASETS,
        defaults=defaults.replicaset, prepare=preparation.replicaset, validate=validation.replicaset, generation=True,
    ),
    Resource(
        "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", columns=columns.ENDPOINTSLICES,
        defaults=defaults.endpointslice, validate=validation.endpointslice, generation=True,
    ),
    Resource(
        "networking.k8s.io", "v1", "ingresses", "Ingress", short=("ing",), subresources=("status",),
        columns=columns.INGRESSES, prepare=preparation.balanced, validate=validation.ingress, generation=True,
    ),
    Resource(
        "networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False,
        columns=columns.INGRESSCLASSES, generation=True,
    ),
    Resource(
        "coordination.k8s.io", "v1", "leases", "Lease", columns=columns.LEASES, validate=validation.lease,
    ),
    Resource(
        _RBAC, "v1", "roles", "Role", columns=kinds.ROLES, validate=kinds.role, name_rule="path",
    ),
    Resource(
        _RBAC, "v1", "rolebindings", "RoleBinding", columns=kinds.BINDINGS, defaults=kinds.binding_defaults,
        validate=kinds.role_binding, name_rule="path",
    ),
    Resource(
        _RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False, columns=kinds.ROLES,
        validate=kinds.cluster_role, name_rule="path",
    ),
    Resource(
        _RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False, columns=kinds.BINDINGS,
        defaults=kinds.binding_defaults, validate=kinds.cluster_role_binding, name_rule="path",
    ),
    _review("authentication.k8s.io", "SelfSubjectReview"),
    _review("authentication.k8s.io", "TokenReview"),
    _review("authorization.k8s.io", "LocalSubjectAccessReview", namespaced=True),
    _review("authorization.k8s.io", "SelfSubjectAccessReview"),
    _review("authorization.k8s.io", "SelfSubjectRulesReview"),
    _review("authorization.k8s.io", "SubjectAccessReview"),
    Resource(
        "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", short=("hpa",),
        categories=("all",), subresources=("status",), columns=autoscalers.COLUMNS, defaults=autoscalers.defaults,
        prepare=autoscalers.prepare, validate=autoscalers.validate,
    ),
    Resource(
        "autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", short=("hpa",),
        categories=("all",), subresources=("status",), type_name="HorizontalPodAutoscalerV1",
        columns=autoscalers.COLUMNS, defaults=autoscalers.defaults, prepare=autoscalers.prepare,
        validate=autoscalers.validate, inward=autoscalers.inward, outward=autoscalers.outward,
    ),
    Resource(
        "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short=("pdb",), subresources=("status",),
        columns=budgets.DISRUPTIONS, prepare=budgets.prepare_disruptions, validate=budgets.disruptions,
        generation=True,
    ),
    Resource(
        "", "v1", "resourcequotas", "ResourceQuota", short=("quota",), subresources=("status",),
        columns=budgets.QUOTAS, prepare=preparation.workload, validate=budgets.quota, returns_deleted=True,
    ),
    Resource(
        "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False,
        short=("crd", "crds"), categories=("api-extensions",), subresources=("status",), columns=definition.COLUMNS,
        defaults=definition.defaults, prepare=definition.prepare, validate=definition.validate, generation=True,
    ),
)  # fmt: skip


class Registry:
    """The rows by path. Rows may come and go while the server runs: custom resources do."""

    def __init__(self, rows: tuple[Resource, ...] = TABLE) -> None:
        self._rows = {(row.group, row.version, row.plural): row for row in rows}
        self._custom: dict[str, list[Resource]] = {}
        self.changes = 0

    def serve(self, owner: str, rows: list[Resource]) -> None:
        """Let these rows, and none but these, be the ones that ``owner`` brought along."""
        for row in self._custom.pop(owner, []):
            del self._rows[row.group, row.version, row.plural]
        if rows:
            self._custom[owner] = rows
        self._rows.update({(row.group, row.version, row.plural): row for row in rows})
        self.changes += 1

    def served_by(self, owner: str) -> list[Resource]:
        """The rows that ``owner`` brought along."""
        return self._custom.get(owner, [])

    def rows(self) -> list[Resource]:
        """All rows, in table order."""
        return list(self._rows.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The row of a path, or None."""
        return self._rows.get((group, version, plural))

    def of_group(self, group: str, version: str) -> list[Resource]:
        """The rows of one group and version."""
        return [row for row in self._rows.values() if (row.group, row.version) == (group, version)]

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, without the core group."""
        found: dict[str, list[str]] = {}
        for row in self._rows.values():
            if row.group and row.version not in found.setdefault(row.group, []):
                found[row.group].append(row.version)
        return found

    def by_storage(self, stored_as: str) -> Resource | None:
        """The row under whose own name a kind is stored."""
        rows = [row for row in self._rows.values() if row.stored_as == stored_as]
        return min(rows, key=lambda row: bool(row.storage), default=None)
