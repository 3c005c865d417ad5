"""Small readings of Kubernetes objects that controllers and the node agent share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

_SUFFIXES = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
}


def now() -> str:
    """This moment as the API writes ``metav1.Time``: whole seconds, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micro() -> str:
    """This moment as the API writes ``metav1.MicroTime``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timestamp(epoch: float) -> str:
    """An epoch as ``metav1.Time``."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    """The epoch of a ``metav1.Time`` or ``MicroTime``."""
    return datetime.fromisoformat(text).timestamp()


def quantity(text: str | float) -> float:
    """A resource quantity in its base unit: cores or bytes. Raises ValueError when it is none."""
    number = str(text)
    suffix = number.lstrip("+-0123456789.eE") if number[-1:].isalpha() else ""
    return float(number[: len(number) - len(suffix)]) * _SUFFIXES[suffix] if suffix in _SUFFIXES else _invalid(number)


def _invalid(text: str) -> float:
    raise ValueError(f"{text!r} is not a quantity")


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a LabelSelector selects these labels; an empty one selects nothing."""
    if not selector or not (selector.get("matchLabels") or selector.get("matchExpressions")):
        return False
    have = labels or {}
    if any(have.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(expression, have) for expression in selector.get("matchExpressions") or [])


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False


def key_of(item: Object) -> str:
    """``namespace/name``, or the plain name of a cluster-wide object."""
    meta = item["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def labels_of(item: Object) -> dict[str, str]:
    """The labels, never None."""
    return item["metadata"].get("labels") or {}


def annotations_of(item: Object) -> dict[str, str]:
    """The annotations, never None."""
    return item["metadata"].get("annotations") or {}


def controller_of(item: Object) -> Object | None:
    """The owner reference with ``controller: true``, if there is one."""
    for owner in item["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return dict(owner)
    return None


def owner_reference(owner: Object) -> Object:
    """A controlling reference to ``owner``."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_deleting(item: Object) -> bool:
    """Whether deletion was asked for."""
    return bool(item["metadata"].get("deletionTimestamp"))


def condition(item: Object, kind: str) -> Object | None:
    """The status condition of this type, if it is set."""
    for entry in item.get("status", {}).get("conditions") or []:
        if entry["type"] == kind:
            return dict(entry)
    return None


def pod_phase(pod: Object) -> str:
    """The pod's phase; a pod that nobody has touched yet is Pending."""
    return str(pod.get("status", {}).get("phase") or "Pending")


def pod_ready(pod: Object) -> bool:
    """Whether the pod's Ready condition is True."""
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def pod_active(pod: Object) -> bool:
    """Whether the pod still counts as a replica: neither finished nor being deleted."""
    return pod_phase(pod) not in ("Succeeded", "Failed") and not is_deleting(pod)


def share(value: str | int, whole: int, *, round_up: bool) -> int:
    """An int-or-percent field, such as maxSurge ``25%``, of ``whole``."""
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError(f"{value!r} is neither a number nor a percentage")
    exact = int(value[:-1]) * whole / 100
    return math.ceil(exact) if round_up else math.floor(exact)
