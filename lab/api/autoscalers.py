"""HorizontalPodAutoscaler as a kind: stored as autoscaling/v2, shown as autoscaling/v1 too."""

from __future__ import annotations

from typing import Any

from lab.api.columns import AGE, NAME, Column, at, of
from lab.api.errors import Causes
from lab.api.rules import shown
from lab.api.selectors import lookup

Body = dict[str, Any]
_KINDS = ["ContainerResource", "External", "Object", "Pods", "Resource"]
_OURS = "targetCPUUtilizationPercentage"


def defaults(body: Body) -> None:
    """At least one replica; 80 percent of the CPU that is requested."""
    spec = body.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        spec["metrics"] = [_cpu({"type": "Utilization", "averageUtilization": 80})]


def _cpu(target: Body) -> Body:
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def prepare(body: Body, old: Body | None) -> None:
    """A new autoscaler has decided nothing yet."""
    if old is None:
        body["status"] = {"currentMetrics": None, "desiredReplicas": 0}


def validate(new: Body, _old: Body | None, causes: Causes) -> None:
    """Bounds, the target, and metrics of known types."""
    spec = new["spec"]
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    for name in ("kind", "name"):
        if not lookup(spec, f"scaleTargetRef.{name}"):
            causes.required(f"spec.scaleTargetRef.{name}")
    if low < 1:
        causes.invalid("spec.minReplicas", str(low), "must be greater than or equal to 1")
    if high < 1:
        causes.invalid("spec.maxReplicas", str(high), "must be greater than 0")
    if high < low:
        causes.invalid("spec.maxReplicas", str(high), "must be greater than or equal to `minReplicas`")
    for index, metric in enumerate(spec.get("metrics") or ()):
        _metric(metric, f"spec.metrics[{index}]", causes)


def _metric(metric: Body, path: str, causes: Causes) -> None:
    kind = metric.get("type", "")
    if kind not in _KINDS:
        causes.unsupported(f"{path}.type", kind, _KINDS)
        return
    if kind != "Resource":
        return
    resource = metric.get("resource")
    if resource is None:
        causes.required(f"{path}.resource", "must populate information for the given metric source")
        return
    if not resource.get("name"):
        causes.required(f"{path}.resource.name", "must specify a resource name")
    target = resource.get("target") or {}
    where = f"{path}.resource.target"
    if target.get("type") not in {"Utilization", "AverageValue", "Value"}:
        allowed = "must be either Utilization, Value, or AverageValue"
        causes.invalid(f"{where}.type", shown(target.get("type", "")), allowed)
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        causes.invalid(f"{where}.averageUtilization", str(percent), "must be greater than 0")
    if percent is None and target.get("averageValue") is None:
        causes.required(f"{where}.averageUtilization", "must set either a target raw value or a target utilization")


def inward(face: Body) -> Body:
    """From autoscaling/v1: its one percentage is a metric of v2."""
    spec = dict(face.get("spec") or {})
    percent = spec.pop(_OURS, None)
    if percent is not None:
        spec["metrics"] = [_cpu({"type": "Utilization", "averageUtilization": percent})]
    body = {**face, "spec": spec}
    status = dict(face.get("status") or {})
    current = status.pop("currentCPUUtilizationPercentage", None)
    if current is not None:
        held = {"name": "cpu", "current": {"averageUtilization": current}}
        status["currentMetrics"] = [{"type": "Resource", "resource": held}]
    if face.get("status") is not None:
        body["status"] = status
    return body


def outward(body: Body) -> Body:
    """To autoscaling/v1, which knows the utilization of CPU and nothing else."""
    spec = {key: one for key, one in (body.get("spec") or {}).items() if key not in {"metrics", "behavior"}}
    held = body.get("status") or {}
    status = {key: one for key, one in held.items() if key not in {"conditions", "currentMetrics"}}
    status.setdefault("currentReplicas", 0)
    percent = _utilization(lookup(body, "spec.metrics"), "target")
    if percent is not None:
        spec[_OURS] = percent
    current = _utilization(held.get("currentMetrics"), "current")
    if current is not None:
        status["currentCPUUtilizationPercentage"] = current
    return {**body, "spec": spec, "status": status}


def _utilization(metrics: Any, side: str) -> int | None:
    for one in metrics or ():
        if lookup(one, "resource.name") == "cpu":
            value = lookup(one, f"resource.{side}.averageUtilization")
            if isinstance(value, int):
                return value
    return None


def _targets(body: Body) -> str:
    metrics, current = lookup(body, "spec.metrics") or [], lookup(body, "status.currentMetrics") or []
    texts = [_target(one, current[index] if index < len(current) else {}) for index, one in enumerate(metrics)]
    more = f" + {len(texts) - 2} more..." if len(texts) > 2 else ""
    return (", ".join(texts[:2]) + more) or "<none>"


def _target(metric: Body, current: Body) -> str:
    name, target = lookup(metric, "resource.name"), lookup(metric, "resource.target") or {}
    if not name:
        return "<unknown type>"
    held = lookup(current, "resource.current") or {}
    if target.get("averageValue") is not None:
        return f"{name}: {held.get('averageValue', '<unknown>')}/{target['averageValue']}"
    now = held.get("averageUtilization")
    return f"{name}: {'<unknown>' if now is None else f'{now}%'}/{target.get('averageUtilization', '<auto>')}%"


COLUMNS = (
    NAME,
    Column(
        "Reference", of(lambda body: "/".join(lookup(body, f"spec.scaleTargetRef.{key}") for key in ("kind", "name")))
    ),
    Column("Targets", of(_targets)),
    Column("MinPods", of(lambda body: str(lookup(body, "spec.minReplicas") or "<unset>"))),
    Column("MaxPods", at("spec.maxReplicas", 0)),
    Column("Replicas", at("status.currentReplicas", 0)),
    AGE,
)
