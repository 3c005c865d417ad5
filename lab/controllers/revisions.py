"""Revisions of a Deployment: how templates are told apart, named, numbered and remembered."""

from __future__ import annotations

import copy
import json

from lab.objects import annotations_of, owner_reference
from lab.resources import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"

_HISTORY_CHARS = 2000
_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
}
_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: no words


def template_hash(template: Object, collisions: int = 0) -> str:
    """The ``pod-template-hash`` of a pod template: FNV-1a over its canonical JSON, in letters that make no words."""
    content = json.dumps(template, sort_keys=True, separators=(",", ":")) + (str(collisions) if collisions else "")
    value = 0x811C9DC5
    for byte in content.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(value))


def same_template(left: Object, right: Object) -> bool:
    """Whether two pod templates are equal but for their hash label."""
    return _bare(left) == _bare(right)


def _bare(template: Object) -> Object:
    meta = {key: value for key, value in (template.get("metadata") or {}).items() if value}
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    meta.pop("creationTimestamp", None)
    return {"metadata": meta | {"labels": labels}, "spec": template.get("spec")}


def find_new(deployment: Object, sets: list[Object]) -> Object | None:
    """The oldest ReplicaSet with the deployment's present template, if there is one."""
    wanted = deployment["spec"]["template"]
    for candidate in sorted(sets, key=by_age):
        if same_template(candidate["spec"]["template"], wanted):
            return candidate
    return None


def by_age(item: Object) -> tuple[str, str]:
    """A sort key: oldest first."""
    return item["metadata"]["creationTimestamp"], item["metadata"]["name"]


def revision_of(item: Object) -> int:
    """The revision number in the annotations, 0 without one."""
    text = annotations_of(item).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def new_set(deployment: Object, revision: int, replicas: int, maximum: int) -> Object:
    """A ReplicaSet for the deployment's present template."""
    spec, meta = deployment["spec"], deployment["metadata"]
    template = copy.deepcopy(spec["template"])
    digest = template_hash(template, deployment.get("status", {}).get("collisionCount") or 0)
    labels = dict((template.setdefault("metadata", {}).get("labels")) or {}) | {HASH_LABEL: digest}
    template["metadata"]["labels"] = labels
    selector = copy.deepcopy(spec["selector"])
    selector["matchLabels"] = (selector.get("matchLabels") or {}) | {HASH_LABEL: digest}
    result: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": dict(labels),
            "annotations": {},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }
    if spec.get("minReadySeconds"):
        result["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    annotate(deployment, result, revision)
    result["metadata"]["annotations"] |= size_annotations(spec["replicas"], maximum)
    return result


def size_annotations(desired: int, maximum: int) -> dict[str, str]:
    """The annotations by which a later scaling is recognised and shared out."""
    return {DESIRED: str(desired), MAXIMUM: str(maximum)}


def annotate(deployment: Object, replica_set: Object, revision: int) -> bool:
    """Bring a new ReplicaSet's annotations up to date in place, keeping the numbers it had; True if they changed."""
    before = dict(annotations_of(replica_set))
    after = before | {k: v for k, v in annotations_of(deployment).items() if k not in _NOT_COPIED}
    old = revision_of(replica_set)
    if old < revision:
        after[REVISION] = str(revision)
        if old:
            history = [entry for entry in before.get(HISTORY, "").split(",") if entry]
            history.append(str(old))
            while len(",".join(history)) > _HISTORY_CHARS:
                history.pop(0)
            after[HISTORY] = ",".join(history)
    replica_set["metadata"]["annotations"] = after
    return after != before
