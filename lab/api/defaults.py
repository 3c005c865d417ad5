"""What an API server fills in: defaults of each kind, applied to a decoded body in place."""

from __future__ import annotations

import base64
from typing import Any

from lab.api.selectors import lookup

Body = dict[str, Any]


def _probe(probe: Body) -> None:
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe.setdefault(key, value)
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")


def _pull_policy(image: str) -> str:
    tail = image.rpartition("/")[2]
    if "@" in tail:
        return "IfNotPresent"
    tag = tail.partition(":")[2]
    return "Always" if tag in {"", "latest"} else "IfNotPresent"


def _container(container: Body) -> None:
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", _pull_policy(container.get("image", "")))
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])
    for variable in container.get("env") or ():
        reference = lookup(variable, "valueFrom.fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")


def _volume(volume: Body) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", 420)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")


def pod_spec(spec: Body) -> None:
    """Defaults of a pod's spec, in a pod or in a template."""
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])


def _toleration(key: str) -> Body:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}


def pod(body: Body) -> None:
    """Defaults of a pod, with those of admission (service account, priority, tolerations)."""
    spec = body.setdefault("spec", {})
    pod_spec(spec)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    if not spec.get("tolerations"):
        spec["tolerations"] = [_toleration(f"node.kubernetes.io/{why}") for why in ("not-ready", "unreachable")]
    for container in spec.get("containers") or ():
        limits = container["resources"].get("limits")
        if limits:
            container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}


def quality_of_service(body: Body) -> str:
    """Guaranteed, Burstable or BestEffort, from requests and limits."""
    resources = [one.get("resources") or {} for one in lookup(body, "spec.containers") or ()]
    if not any(one.get("requests") or one.get("limits") for one in resources):
        return "BestEffort"
    full = all({"cpu", "memory"} <= set(one.get("limits") or ()) for one in resources)
    same = all(one.get("requests") == one.get("limits") for one in resources)
    return "Guaranteed" if full and same else "Burstable"


def deployment(body: Body) -> None:
    """Defaults of a Deployment: the rolling update of a quarter, ten revisions, ten minutes."""
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    _template(spec)


def _template(spec: Body) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))


def replicaset(body: Body) -> None:
    """Defaults of a ReplicaSet."""
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec)
    labels = lookup(spec, "template.metadata.labels")
    if labels and not body["metadata"].get("labels"):
        body["metadata"]["labels"] = dict(labels)


def service(body: Body) -> None:
    """Defaults of a Service; its address is allocated by the strategy, which can see the others."""
    spec = body.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    if spec["type"] != "ExternalName":
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")


def namespace(body: Body) -> None:
    """A namespace is labelled with its own name and kept by one finalizer until its contents are gone."""
    metadata = body["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata.get("name", "")}
    body.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    body.setdefault("status", {}).setdefault("phase", "Active")


def secret(body: Body) -> None:
    """``stringData`` is written into ``data`` and never read back."""
    body.setdefault("type", "Opaque")
    plain = body.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        body["data"] = {**(body.get("data") or {}), **encoded}


def endpoints(body: Body) -> None:
    """Ports are TCP unless they say otherwise."""
    for subset in body.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def endpointslice(body: Body) -> None:
    """Ports are unnamed and TCP unless they say otherwise; there is always a list of endpoints."""
    body.setdefault("endpoints", [])
    for port in body.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def nothing(body: Body) -> None:
    """For kinds without defaults."""
