"""Deleting: grace for pods, finalizers for whatever has them, propagation left to the garbage collector."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lab.api import clock, errors
from lab.api.errors import Cause
from lab.api.objects import Objects
from lab.api.resources import Resource
from lab.api.store import Stored

Body = dict[str, Any]
_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass(frozen=True)
class DeleteOptions:
    """How to delete. ``grace`` None means the object's own."""

    grace: int | None = None
    policy: str = ""
    uid: str = ""
    version: str = ""
    dry_run: bool = False


def delete_options(body: Body, query: dict[str, str]) -> DeleteOptions:
    """From a DELETE's body and query; the body wins. Raises 400, 422."""
    grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    policy = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if not policy and body.get("orphanDependents", query.get("orphanDependents") == "true"):
        policy = "Orphan"
    if policy not in {"", "Background", "Foreground", "Orphan"}:
        known = '"Background", "Foreground", "Orphan"'
        message = f'Unsupported value: "{policy}": supported values: {known}'
        cause = Cause("propagationPolicy", "FieldValueNotSupported", message)
        raise errors.invalid("DeleteOptions", "meta.k8s.io", "", [cause])
    preconditions = body.get("preconditions") or {}
    try:
        seconds = None if grace is None else int(grace)
    except (TypeError, ValueError):
        raise errors.bad_request(f"gracePeriodSeconds must be a number of seconds, not {grace!r}") from None
    return DeleteOptions(
        grace=seconds,
        policy=policy,
        uid=preconditions.get("uid") or "",
        version=preconditions.get("resourceVersion") or "",
        dry_run="All" in (body.get("dryRun") or ()) or query.get("dryRun") == "All",
    )


def delete(objects: Objects, row: Resource, old: Stored, options: DeleteOptions) -> tuple[Stored, bool]:
    """Delete, or mark as being deleted. Answers the object's last state and whether it is gone. Raises 409."""
    _preconditions(row, old, options)
    grace = _grace(row, old, options)
    finalizers = _finalizers(old, options)
    if not grace and not finalizers and row.kind != "Namespace":
        return _last(objects, row, old, options), True
    marked = old.metadata.get("deletionTimestamp")
    held = old.metadata.get("deletionGracePeriodSeconds") or 0
    if marked and (row.kind == "Namespace" or grace >= held) and finalizers == (old.metadata.get("finalizers") or []):
        return old, False
    now = clock.now()

    def mark(body: Body) -> None:
        metadata = body["metadata"]
        if not marked or grace < held:
            metadata["deletionTimestamp"] = clock.stamp(now + timedelta(seconds=grace))
            if row.kind != "Namespace":
                metadata["deletionGracePeriodSeconds"] = grace
        if finalizers:
            metadata["finalizers"] = finalizers
        if row.generation and not marked:
            metadata["generation"] = int(metadata.get("generation") or 0) + 1
        if row.kind == "Namespace":
            body["status"] = {**(body.get("status") or {}), "phase": "Terminating"}

    return objects.change(row, old, mark, dry_run=options.dry_run), False


def _preconditions(row: Resource, old: Stored, options: DeleteOptions) -> None:
    uid, version = old.metadata.get("uid"), str(old.revision)
    for what, wanted, held in (("UID", options.uid, uid), ("ResourceVersion", options.version, version)):
        if wanted and wanted != held:
            why = (
                f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {held}"
                if what == "UID"
                else f"the {what} in the precondition ({wanted}) does not match the {what} in record ({held})."
                " The object might have been modified"
            )
            raise errors.conflict(row.plural, row.group, old.key[1], why)


def _grace(row: Resource, old: Stored, options: DeleteOptions) -> int:
    """Seconds until the object may go. Only pods wait, and only those that a node agent must end."""
    if row.kind != "Pod":
        return 0
    spec, phase = old.body.get("spec") or {}, (old.body.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in {"Succeeded", "Failed"}:
        return 0
    grace = options.grace if options.grace is not None else spec.get("terminationGracePeriodSeconds", 30)
    return max(int(grace), 0)


def _finalizers(old: Stored, options: DeleteOptions) -> list[str]:
    """Its finalizers, with the one that asks the garbage collector for a policy other than background."""
    held = [one for one in old.metadata.get("finalizers") or () if one not in _FINALIZERS.values()]
    wanted = _FINALIZERS.get(options.policy)
    if wanted:
        return [*held, wanted]
    if not options.policy:
        return list(old.metadata.get("finalizers") or ())
    return held


def _last(objects: Objects, row: Resource, old: Stored, options: DeleteOptions) -> Stored:
    """Remove the object; a pod's last state says when and that no grace was left."""
    body = old.body
    if row.kind == "Pod":
        metadata = {**old.metadata, "deletionGracePeriodSeconds": 0}
        if not metadata.get("deletionTimestamp"):
            metadata["deletionTimestamp"] = clock.stamp(clock.now())
            metadata["generation"] = int(metadata.get("generation") or 0) + 1
        body = {**body, "metadata": metadata}
    if options.dry_run:
        return Stored(old.key, body, old.revision)
    return objects.store.delete(row.stored_as, old, body)
