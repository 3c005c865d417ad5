"""What Deployments, ReplicaSets, autoscalers and disruption budgets say."""

from __future__ import annotations

from collections.abc import Iterator

from lab.controllers.kubestate.samples import Labels, Sample, by_status, moment
from lab.objects import quantity, share
from lab.resources import Object

_DEPLOYMENT = {
    "replicas": ("replicas", "The number of replicas per deployment."),
    "replicas_ready": ("readyReplicas", "The number of ready replicas per deployment."),
    "replicas_available": ("availableReplicas", "The number of available replicas per deployment."),
    "replicas_unavailable": ("unavailableReplicas", "The number of unavailable replicas per deployment."),
    "replicas_updated": ("updatedReplicas", "The number of updated replicas per deployment."),
    "observed_generation": ("observedGeneration", "The generation observed by the deployment controller."),
}
DEPLOYMENT_FAMILIES = {
    "kube_deployment_created": ("gauge", "Unix creation timestamp."),
    **{f"kube_deployment_status_{name}": ("gauge", text) for name, (_, text) in _DEPLOYMENT.items()},
    "kube_deployment_status_condition": ("gauge", "The current status conditions of a deployment."),
    "kube_deployment_spec_replicas": ("gauge", "Number of desired pods for a deployment."),
    "kube_deployment_spec_paused": ("gauge", "Whether the deployment is paused."),
    "kube_deployment_spec_strategy_rollingupdate_max_unavailable": (
        "gauge", "Maximum number of unavailable replicas during a rolling update of a deployment.",
    ),
    "kube_deployment_spec_strategy_rollingupdate_max_surge": (
        "gauge", "Maximum number of replicas above the desired number during a rolling update of a deployment.",
    ),
    "kube_deployment_metadata_generation": ("gauge", "Generation of the desired state."),
}  # fmt: skip


def deployment(item: Object) -> Iterator[Sample]:
    """All samples of one Deployment."""
    meta, spec, status = item["metadata"], item["spec"], item.get("status", {})
    own = {"namespace": meta["namespace"], "deployment": meta["name"]}
    yield from moment("kube_deployment_created", own, meta.get("creationTimestamp"))
    for name, (key, _) in _DEPLOYMENT.items():
        yield f"kube_deployment_status_{name}", own, status.get(key, 0)
    for entry in status.get("conditions") or []:
        about = own | {"reason": entry.get("reason", ""), "condition": entry["type"]}
        yield from by_status("kube_deployment_status_condition", about, "status", entry["status"])
    replicas = spec.get("replicas", 1)
    yield "kube_deployment_spec_replicas", own, replicas
    yield "kube_deployment_spec_paused", own, bool(spec.get("paused"))
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    prefix = "kube_deployment_spec_strategy_rollingupdate"
    if rolling:
        yield f"{prefix}_max_unavailable", own, share(rolling["maxUnavailable"], replicas, round_up=False)
        yield f"{prefix}_max_surge", own, share(rolling["maxSurge"], replicas, round_up=True)
    yield "kube_deployment_metadata_generation", own, meta.get("generation", 0)


_REPLICASET = {
    "replicas": "replicas",
    "fully_labeled_replicas": "fullyLabeledReplicas",
    "ready_replicas": "readyReplicas",
    "terminating_replicas": "terminatingReplicas",
    "observed_generation": "observedGeneration",
}
REPLICASET_FAMILIES = {
    "kube_replicaset_created": ("gauge", "Unix creation timestamp."),
    **{f"kube_replicaset_status_{name}": ("gauge", f"The ReplicaSet's {key}.") for name, key in _REPLICASET.items()},
    "kube_replicaset_spec_replicas": ("gauge", "Number of desired pods for a ReplicaSet."),
    "kube_replicaset_metadata_generation": ("gauge", "Generation of the desired state."),
    "kube_replicaset_owner": ("gauge", "Information about the ReplicaSet's owner."),
}


def replicaset(item: Object) -> Iterator[Sample]:
    """All samples of one ReplicaSet."""
    meta, status = item["metadata"], item.get("status", {})
    own = {"namespace": meta["namespace"], "replicaset": meta["name"]}
    yield from moment("kube_replicaset_created", own, meta.get("creationTimestamp"))
    for name, key in _REPLICASET.items():
        yield f"kube_replicaset_status_{name}", own, status.get(key, 0)
    yield "kube_replicaset_spec_replicas", own, item["spec"].get("replicas", 1)
    yield "kube_replicaset_metadata_generation", own, meta.get("generation", 0)
    for owner in meta.get("ownerReferences") or [{}]:
        about = {"owner_kind": owner.get("kind", ""), "owner_name": owner.get("name", "")}
        is_controller = str(bool(owner.get("controller"))).lower() if owner else ""
        yield "kube_replicaset_owner", own | about | {"owner_is_controller": is_controller}, 1


_HPA = "kube_horizontalpodautoscaler"
HPA_FAMILIES = {
    f"{_HPA}_{name}": ("gauge", text)
    for name, text in {
        "info": "Information about this autoscaler.",
        "metadata_generation": "The generation observed by the HorizontalPodAutoscaler controller.",
        "spec_max_replicas": "Upper limit for the number of pods that can be set by the autoscaler.",
        "spec_min_replicas": "Lower limit for the number of pods that can be set by the autoscaler.",
        "spec_target_metric": "The metric specifications used by this autoscaler.",
        "status_target_metric": "The current metric status used by this autoscaler.",
        "status_condition": "The condition of this autoscaler.",
        "status_current_replicas": "Current number of replicas of pods managed by this autoscaler.",
        "status_desired_replicas": "Desired number of replicas of pods managed by this autoscaler.",
    }.items()
}
_TARGETS = {"averageUtilization": "utilization", "averageValue": "average", "value": "value"}


def autoscaler(item: Object) -> Iterator[Sample]:
    """All samples of one HorizontalPodAutoscaler."""
    meta, spec, status = item["metadata"], item["spec"], item.get("status", {})
    own = {"namespace": meta["namespace"], "horizontalpodautoscaler": meta["name"]}
    target = spec["scaleTargetRef"]
    about = {f"scaletargetref_{key}": target.get(word, "") for key, word in _REFERENCE.items()}
    yield f"{_HPA}_info", own | about, 1
    yield f"{_HPA}_metadata_generation", own, meta.get("generation", 0)
    yield f"{_HPA}_spec_max_replicas", own, spec["maxReplicas"]
    yield f"{_HPA}_spec_min_replicas", own, spec.get("minReplicas", 1)
    for metric in spec.get("metrics") or []:
        yield from _metric(f"{_HPA}_spec_target_metric", own, metric, "target")
    for metric in status.get("currentMetrics") or []:
        yield from _metric(f"{_HPA}_status_target_metric", own, metric, "current")
    for entry in status.get("conditions") or []:
        yield from by_status(f"{_HPA}_status_condition", own | {"condition": entry["type"]}, "status", entry["status"])
    yield f"{_HPA}_status_current_replicas", own, status.get("currentReplicas", 0)
    yield f"{_HPA}_status_desired_replicas", own, status.get("desiredReplicas", 0)


_REFERENCE = {"api_version": "apiVersion", "kind": "kind", "name": "name"}


def _metric(family: str, own: Labels, metric: Object, part: str) -> Iterator[Sample]:
    source = metric.get("resource") or metric.get("containerResource") or {}
    for key, word in _TARGETS.items():
        value = source.get(part, {}).get(key)
        if value is not None:
            yield family, own | {"metric_name": source["name"], "metric_target_type": word}, quantity(value)


_BUDGET = {
    "current_healthy": "currentHealthy",
    "desired_healthy": "desiredHealthy",
    "pod_disruptions_allowed": "disruptionsAllowed",
    "expected_pods": "expectedPods",
    "observed_generation": "observedGeneration",
}
BUDGET_FAMILIES = {
    f"kube_poddisruptionbudget_status_{name}": ("gauge", f"The budget's {key}.") for name, key in _BUDGET.items()
}


def budget(item: Object) -> Iterator[Sample]:
    """All samples of one PodDisruptionBudget."""
    meta, status = item["metadata"], item.get("status", {})
    own = {"namespace": meta["namespace"], "poddisruptionbudget": meta["name"]}
    for name, key in _BUDGET.items():
        yield f"kube_poddisruptionbudget_status_{name}", own, status.get(key, 0)
