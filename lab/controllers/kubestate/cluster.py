"""What Nodes, Namespaces and ResourceQuotas say."""

from __future__ import annotations

from collections.abc import Iterator

from lab.controllers.kubestate.samples import Sample, by_status, moment, resources
from lab.objects import quantity
from lab.resources import Object

NODE_FAMILIES = {
    "kube_node_created": ("gauge", "Unix creation timestamp."),
    "kube_node_info": ("gauge", "Information about a cluster node."),
    "kube_node_spec_unschedulable": ("gauge", "Whether a node can schedule new pods."),
    "kube_node_spec_taint": ("gauge", "The taint of a cluster node."),
    "kube_node_status_condition": ("gauge", "The condition of a cluster node."),
    "kube_node_status_capacity": ("gauge", "The total amount of resources available for a node."),
    "kube_node_status_allocatable": ("gauge", "The amount of resources allocatable for pods."),
}
_INFO = {
    "kernel_version": "kernelVersion",
    "os_image": "osImage",
    "container_runtime_version": "containerRuntimeVersion",
    "kubelet_version": "kubeletVersion",
    "kubeproxy_version": "kubeProxyVersion",
    "system_uuid": "systemUUID",
}


def node(item: Object) -> Iterator[Sample]:
    """All samples of one Node."""
    meta, spec, status = item["metadata"], item.get("spec", {}), item.get("status", {})
    own = {"node": meta["name"]}
    yield from moment("kube_node_created", own, meta.get("creationTimestamp"))
    info = {label: status.get("nodeInfo", {}).get(key, "") for label, key in _INFO.items()}
    inner = [entry["address"] for entry in status.get("addresses") or [] if entry["type"] == "InternalIP"]
    yield "kube_node_info", own | info | {"internal_ip": inner[0] if inner else ""}, 1
    yield "kube_node_spec_unschedulable", own, bool(spec.get("unschedulable"))
    for taint in spec.get("taints") or []:
        about = {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}
        yield "kube_node_spec_taint", own | about, 1
    for entry in status.get("conditions") or []:
        about = own | {"condition": entry["type"]}
        yield from by_status("kube_node_status_condition", about, "status", entry["status"])
    for kind in ("capacity", "allocatable"):
        for name, unit, value in resources(status.get(kind)):
            yield f"kube_node_status_{kind}", own | {"resource": name, "unit": unit}, value


NAMESPACE_FAMILIES = {
    "kube_namespace_created": ("gauge", "Unix creation timestamp."),
    "kube_namespace_status_phase": ("gauge", "Kubernetes namespace status phase."),
}


def namespace(item: Object) -> Iterator[Sample]:
    """All samples of one Namespace."""
    own = {"namespace": item["metadata"]["name"]}
    yield from moment("kube_namespace_created", own, item["metadata"].get("creationTimestamp"))
    for phase in ("Active", "Terminating"):
        yield "kube_namespace_status_phase", own | {"phase": phase}, item.get("status", {}).get("phase") == phase


QUOTA_FAMILIES = {
    "kube_resourcequota_created": ("gauge", "Unix creation timestamp."),
    "kube_resourcequota": ("gauge", "Information about resource quota."),
}


def quota(item: Object) -> Iterator[Sample]:
    """All samples of one ResourceQuota."""
    meta, status = item["metadata"], item.get("status", {})
    own = {"namespace": meta["namespace"], "resourcequota": meta["name"]}
    yield from moment("kube_resourcequota_created", own, meta.get("creationTimestamp"))
    for kind in ("hard", "used"):
        for name, amount in (status.get(kind) or {}).items():
            yield "kube_resourcequota", own | {"resource": name, "type": kind}, quantity(amount)
