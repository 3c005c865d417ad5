"""The mark on what a fault touches: whoever finds the object in a strange state finds there who did it, and until when.

muster.dev/fault: 20260107t101500-node_drain-3f2a1c
muster.dev/fault-expires: 2026-01-07T10:20:00Z
"""

from __future__ import annotations

import time

from muster.faults.ledger import Entry
from muster.kube import MERGE, Kube, KubeError
from muster.workload import Json

ID, EXPIRES = "muster.dev/fault", "muster.dev/fault-expires"
UNDO = "marks"  # key in an entry's undo: API paths of what was marked


def of(entry: Entry) -> dict[str, str]:
    """The annotations that name this fault."""
    return {ID: entry.id, EXPIRES: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.expires_at))}


def put(kube: Kube, entry: Entry) -> None:
    """Mark everything that the entry says is touched. Raises :class:`~muster.kube.KubeError`."""
    for path in entry.undo.get(UNDO, []):
        kube.patch(path, {"metadata": {"annotations": of(entry)}}, kind=MERGE)


def remove(kube: Kube, entry: Entry) -> None:
    """Take this fault's marks off, where they still are; what is gone needs none. Raises KubeError.

    The Deployment controller copies its Deployment's annotations to the ReplicaSet, and a later ``kubectl rollout
    undo`` would bring them back from there; so they are taken off there, too.
    """
    for path in entry.undo.get(UNDO, []):
        _remove(kube, path, entry.id)
        folder, kind, _ = path.rsplit("/", 2)
        if kind == "deployments":
            for item in kube.get(f"{folder}/replicasets")["items"]:
                if _id_of(item) == entry.id:
                    _remove(kube, f"{folder}/replicasets/{item['metadata']['name']}", entry.id)


def _remove(kube: Kube, path: str, fault: str) -> None:
    try:
        if _id_of(kube.get(path)) == fault:
            kube.patch(path, {"metadata": {"annotations": {ID: None, EXPIRES: None}}}, kind=MERGE)
    except KubeError as error:
        if error.status != 404:
            raise


def _id_of(item: Json) -> str:
    return str((item["metadata"].get("annotations") or {}).get(ID, ""))
