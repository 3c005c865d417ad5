"""Known builds: the digests that each pod template ran with, and which releases were rolled back, kept in the cluster.

A ConfigMap in the namespace, ``muster-releases``, one small entry per template that the Deployment still has in its
history. With it a proof can name the digest that it expects, and nobody rolls back *to* what was rolled back from.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from muster.errors import Unknown
from muster.kube import MERGE, Kube, KubeError
from muster.release.model import Release, current_of
from muster.workload import Json, Workload, hash_of

CONFIG_MAP = "muster-releases"


@dataclass(frozen=True)
class Known:
    """What is remembered of one release."""

    revision: int
    digests: frozenset[str]
    rolled_back_at: float = 0.0  # seconds since the epoch; 0: never


def read_known(kube: Kube, namespace: str, deployment: str) -> dict[str, Known]:
    """What is remembered of a Deployment's releases, by template hash; empty when nothing is. Raises KubeError."""
    try:
        data = kube.get(_path(namespace)).get("data") or {}
    except KubeError as error:
        if error.status == 404:
            return {}
        raise
    found = {}
    for key, text in data.items():
        name, _, template_hash = key.rpartition(".")
        if name != deployment:
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError):  # an entry that nobody can read is not remembered
            entry = json.loads(text)
            found[template_hash] = Known(
                int(entry["revision"]), frozenset(entry["digests"]), float(entry.get("rolled_back_at", 0))
            )
    return found


def observe(kube: Kube, seen: Workload, container: str) -> dict[str, Known]:
    """Remember what the current release runs, forget what left the history; returns all that is now known.

    Writes only when something is new. Raises :class:`~muster.kube.KubeError`.
    """
    namespace = seen.deployment["metadata"]["namespace"]
    known = read_known(kube, namespace, seen.name)
    changes: dict[str, Known | None] = dict.fromkeys(known.keys() - {hash_of(rs) for rs in seen.replicasets})
    try:
        now = current_of(seen, container)
    except Unknown:
        now = None
    if now is not None and now.ready and now.digests:
        old = known.get(now.template_hash, Known(0, frozenset()))
        new = Known(now.revision, old.digests | now.digests)  # released again: no longer what was rolled back from
        if new != old:
            changes[now.template_hash] = new
    return _write(kube, namespace, seen.name, known, changes)


def remember_rollback(kube: Kube, bad: Release, at: float) -> None:
    """Mark a release as rolled back from, with what it ran. Raises :class:`~muster.kube.KubeError`."""
    known = read_known(kube, bad.namespace, bad.deployment)
    old = known.get(bad.template_hash, Known(0, frozenset()))
    new = Known(bad.revision, old.digests | bad.digests, at)
    _write(kube, bad.namespace, bad.deployment, known, {bad.template_hash: new})


def _write(
    kube: Kube, namespace: str, deployment: str, known: dict[str, Known], changes: Mapping[str, Known | None]
) -> dict[str, Known]:
    if not changes:
        return known
    data = {f"{deployment}.{key}": _text(value) if value else None for key, value in changes.items()}
    try:
        kube.patch(_path(namespace), {"data": data}, kind=MERGE)
    except KubeError as error:
        if error.status != 404:
            raise
        kept = {key: value for key, value in data.items() if value is not None}
        try:
            kube.post(f"/api/v1/namespaces/{namespace}/configmaps", _config_map(namespace, kept))
        except KubeError as raced:
            if raced.status != 409:
                raise
            kube.patch(_path(namespace), {"data": data}, kind=MERGE)  # another observer made it in between
    merged: dict[str, Known | None] = {**known, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def _config_map(namespace: str, data: dict[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": namespace},
        "data": data,
    }


def _text(known: Known) -> str:
    entry = {"revision": known.revision, "digests": sorted(known.digests), "rolled_back_at": known.rolled_back_at}
    return json.dumps(entry)


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{CONFIG_MAP}"
