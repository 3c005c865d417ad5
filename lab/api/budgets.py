"""ResourceQuota and PodDisruptionBudget as kinds: their columns and rules."""

from __future__ import annotations

from typing import Any

from lab.api.columns import AGE, NAME, Column, at, of
from lab.api.errors import Causes
from lab.api.quantities import parse_quantity
from lab.api.rules import check_non_negative, shown
from lab.api.selectors import lookup

Body = dict[str, Any]
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_STANDARD = {
    *_COMPUTE,
    *(f"{kind}.{name}" for kind in ("requests", "limits") for name in _COMPUTE),
    "requests.storage",
    *("pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps"),
    *("persistentvolumeclaims", "services.nodeports", "services.loadbalancers"),
}


def quota(new: Body, old: Body | None, causes: Causes) -> None:
    """A ResourceQuota: known names, amounts that are not below zero, scopes that stay."""
    for name, amount in (lookup(new, "spec.hard") or {}).items():
        path = f"spec.hard[{name}]"
        if name not in _STANDARD and "/" not in name:
            causes.invalid(path, shown(name), "must be a standard resource type or fully qualified")
        value = parse_quantity(amount)
        if value is not None and value < 0:
            causes.invalid(path, shown(amount), "must be greater than or equal to 0")
    if old is not None and lookup(new, "spec.scopes") != lookup(old, "spec.scopes"):
        causes.invalid("spec.scopes", shown(lookup(new, "spec.scopes")), "field is immutable")


def prepare_disruptions(body: Body, old: Body | None) -> None:
    """A new budget allows nothing until its pods have been counted."""
    if old is None:
        body["status"] = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)


def disruptions(new: Body, _old: Body | None, causes: Causes) -> None:
    """A PodDisruptionBudget: one of two bounds."""
    spec = new.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        causes.invalid("spec", shown(spec), "minAvailable and maxUnavailable cannot be both set")
    for name in ("minAvailable", "maxUnavailable"):
        value = spec.get(name)
        check_non_negative(value, f"spec.{name}", causes)
        if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdigit() and int(value[:-1]) <= 100):
            causes.invalid(f"spec.{name}", shown(value), "must be an integer or percentage (e.g '5%')")
    policy = spec.get("unhealthyPodEvictionPolicy")
    known = ["AlwaysAllow", "IfHealthyBudget"]
    if policy is not None and policy not in known:
        causes.unsupported("spec.unhealthyPodEvictionPolicy", policy, known)


def _used(body: Body, *, limits: bool) -> str:
    hard, used = lookup(body, "status.hard") or {}, lookup(body, "status.used") or {}
    names = [name for name in sorted(hard) if name.startswith("limits") is limits]
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


QUOTAS = (
    NAME,
    Column("Request", of(lambda body: _used(body, limits=False))),
    Column("Limit", of(lambda body: _used(body, limits=True))),
    AGE,
)
DISRUPTIONS = (
    NAME,
    Column("Min Available", of(lambda body: str(_bound(body, "minAvailable")))),
    Column("Max Unavailable", of(lambda body: str(_bound(body, "maxUnavailable")))),
    Column("Allowed Disruptions", at("status.disruptionsAllowed", 0), "integer"),
    AGE,
)


def _bound(body: Body, name: str) -> Any:
    value = lookup(body, f"spec.{name}")
    return "N/A" if value is None else value
