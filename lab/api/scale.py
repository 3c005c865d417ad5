"""The scale subresource: a workload's replica count as an object of its own."""

from __future__ import annotations

from typing import Any

from lab.api import errors, ownership, patches
from lab.api.errors import Cause
from lab.api.objects import Body, Objects, Options, Written
from lab.api.resources import Resource
from lab.api.schema import conform
from lab.api.selectors import labels_text, lookup
from lab.api.shapes import Conformed, TypeProblem
from lab.api.store import Stored

SCALE = Resource("autoscaling", "v1", "scales", "Scale")


_PATHS = ("spec.replicas", "status.replicas", "spec.selector")


def read(row: Resource, stored: Stored) -> Body:
    """The Scale of a workload."""
    desired, actual, selector = row.scale_paths or _PATHS
    selected = lookup(stored.body, selector) if selector else ""
    metadata = {
        key: stored.metadata[key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if key in stored.metadata
    }
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": lookup(stored.body, desired) or 0},
        "status": {
            "replicas": lookup(stored.body, actual) or 0,
            "selector": selected if isinstance(selected, str) else labels_text(selected),
        },
    }


def patched_scale(row: Resource, old: Stored, media: str, sent: Any) -> Body:
    """The Scale of a workload after a patch. Raises 400, 415, 422."""
    return patches.patched(media, read(row, old), sent, SCALE.type)


def write(objects: Objects, row: Resource, old: Stored, sent: Body, options: Options) -> Written:
    """Set the workload's replicas from a Scale. Raises 400, 409, 422."""
    try:
        scale = conform(sent, SCALE.type, Conformed())
    except TypeProblem as problem:
        raise errors.bad_request(f'Scale in version "v1" cannot be handled as a Scale: {problem.go}') from None
    replicas = lookup(scale, "spec.replicas") or 0
    version = lookup(scale, "metadata.resourceVersion")
    if version and version != str(old.revision):
        raise errors.conflict(row.plural, row.group, old.key[1])
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise errors.invalid("Scale", "autoscaling", old.key[1], [Cause("spec.replicas", "FieldValueInvalid", why)])

    def edit(body: Body) -> None:
        *parents, last = (row.scale_paths or _PATHS)[0].split(".")
        place = body
        for step in parents:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise errors.bad_request(f"{row.kind} {old.key[1]} has no object at {step} to keep its replicas in")
        place[last] = replicas
        ownership.updated(row, old.body, body, options.writer, "scale")

    return Written(objects.change(row, old, edit, dry_run=options.dry_run))
