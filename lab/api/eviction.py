"""Evictions: deletes that PodDisruptionBudgets may refuse."""

from __future__ import annotations

from typing import Any

from lab.api import clock, errors
from lab.api.deletion import delete, delete_options
from lab.api.errors import ApiError
from lab.api.objects import Objects
from lab.api.resources import Resource
from lab.api.schema import conform
from lab.api.selectors import labels_match, lookup
from lab.api.shapes import Conformed, TypeProblem, struct
from lab.api.store import Stored

Body = dict[str, Any]
_BUDGETS = "poddisruptionbudgets.policy"


def evict(objects: Objects, row: Resource, pod: Stored, sent: Body) -> None:
    """Delete a pod unless its budget forbids it. Raises 400, 409, 429, and 500 for a pod of two budgets."""
    try:
        sent = conform(sent, struct("Eviction"), Conformed())
    except TypeProblem as problem:
        raise errors.bad_request(f'Eviction in version "v1" cannot be handled as a Eviction: {problem.go}') from None
    name = lookup(sent, "metadata.name")
    if name and name != pod.key[1]:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    options = delete_options(sent.get("deleteOptions") or {}, {})
    budget = _budget(objects, pod)
    if budget is not None and _counts(pod):
        counted = _spend(budget, pod)
        delete(objects, row, pod, options)
        if counted and not options.dry_run:
            _note(objects, budget, pod)
    else:
        delete(objects, row, pod, options)


def _budget(objects: Objects, pod: Stored) -> Stored | None:
    labels, found = pod.metadata.get("labels") or {}, []
    for stored in objects.store.list(_BUDGETS, pod.key[0]):
        selector = lookup(stored.body, "spec.selector")
        if selector is not None and labels_match(selector, labels):
            found.append(stored)
    if len(found) > 1:
        why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise ApiError(500, "InternalError", why)
    return found[0] if found else None


def _counts(pod: Stored) -> bool:
    """A pod that does not serve, or goes already, is missed by nobody."""
    phase = lookup(pod.body, "status.phase")
    return phase not in {"Succeeded", "Failed", "Pending"} and not pod.metadata.get("deletionTimestamp")


def _spend(budget: Stored, pod: Stored) -> bool:
    """Whether the budget is to be charged. Raises 429 when it has nothing left."""
    status, name = budget.body.get("status") or {}, budget.key[1]
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    ready = any(
        one.get("type") == "Ready" and one.get("status") == "True"
        for one in lookup(pod.body, "status.conditions") or ()
    )
    policy = lookup(budget.body, "spec.unhealthyPodEvictionPolicy")
    if not ready and (policy == "AlwaysAllow" or healthy >= desired > 0):
        return False
    if (status.get("observedGeneration") or 0) < (budget.metadata.get("generation") or 0):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", retry_s=10)
    if status.get("disruptionsAllowed", 0) < 1:
        raise _refused(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
    return True


def _refused(why: str, retry_s: int = 0) -> ApiError:
    details: Body = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_s:
        details["retryAfterSeconds"] = retry_s
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    headers = {"Retry-After": str(retry_s)} if retry_s else None
    return ApiError(429, "TooManyRequests", message, details=details, headers=headers)


def _note(objects: Objects, budget: Stored, pod: Stored) -> None:
    """Charge the budget at once: its controller sees the pod go a moment later."""
    row = objects.registry.by_storage(_BUDGETS)
    if row is None:
        raise LookupError("the table has no poddisruptionbudgets")

    def edit(body: Body) -> None:
        status = body.setdefault("status", {})
        status["disruptionsAllowed"] = status.get("disruptionsAllowed", 1) - 1
        status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod.key[1]: clock.stamp(clock.now())}

    objects.change(row, budget, edit)
