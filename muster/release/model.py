"""What is deployed: releases read from a Deployment, the ReplicaSets it owns and their pods. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from muster.errors import MusterError, Unknown
from muster.kube import Kube
from muster.release.keepers import read_deployed
from muster.system import Environment
from muster.system.model import KubernetesSource
from muster.workload import (
    REVISION_HISTORY,
    Json,
    Workload,
    digest_of,
    epoch,
    hash_of,
    is_observed,
    is_ready,
    is_terminating,
    revision,
    same_release,
    template_of,
    withdrawn,
)


class RollbackRefused(MusterError):  # noqa: N818 - the decision's word
    """A rollback would not help or must not be; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """One revision of a Deployment.

    ``images`` are those of all its containers; ``digests`` are what the environment's own container runs in ready pods
    (in any pod when none is ready), so that a sidecar never stands for the build.
    """

    namespace: str
    deployment: str
    revision: int
    template_hash: str
    images: tuple[str, ...]
    digests: frozenset[str]
    replicas: int  # pods that are not terminating
    ready: int
    created: float  # since when it is released, seconds since the epoch (see released_at)

    def __str__(self) -> str:
        return f"revision {self.revision} ({short(self.digests) or ', '.join(self.images)})"


def short(digests: frozenset[str] | tuple[str, ...]) -> str:
    """Digests as people compare them: twelve digits of each."""
    return ", ".join(sorted(digest.rpartition(":")[2][:12] for digest in digests))


def source_of(env: Environment) -> KubernetesSource:
    """The environment's cluster. Raises :class:`~muster.errors.Unknown` when it declares none."""
    if env.kubernetes is None:
        raise Unknown(f"environment {env.name} declares no kubernetes, so its release is not known")
    return env.kubernetes


def look(kube: Kube, env: Environment) -> Workload:
    """The environment's workload now. Raises :class:`~muster.kube.KubeError`, in words where there is no Deployment."""
    source = source_of(env)
    return read_deployed(kube, source.namespace, source.deployment)


def current(kube: Kube, env: Environment) -> Release:
    """The release that the Deployment asks for. Raises KubeError, or Unknown while it has no ReplicaSet yet."""
    return current_of(look(kube, env), source_of(env).container)


def previous(kube: Kube, env: Environment) -> Release | None:
    """The release before the current one; None when there is none.

    As ``kubectl rollout undo`` would choose it, but past revisions that a restart made (they are the current release)
    and past those that a drill released as bad ones and withdrew.
    """
    return previous_of(look(kube, env), source_of(env).container)


def current_of(seen: Workload, container: str) -> Release:
    """See :func:`current`."""
    now = release_of(seen, _current(seen), container)
    births = [now.created, *(release_of(seen, rs, container).created for rs in _before(seen)[0])]
    return replace(now, created=min(births))  # a restart does not make it younger; 0, not known, stays 0


def previous_of(seen: Workload, container: str) -> Release | None:
    """See :func:`previous`; revisions are counted from the release asked for, not from the newest ReplicaSet."""
    _, older = _before(seen)
    return release_of(seen, older[-1], container) if older else None


def _before(seen: Workload) -> tuple[list[Json], list[Json]]:
    """Older revisions, oldest first: those that the current one is only a restart of, and those before them.

    The newest of these is none that was withdrawn.
    """
    now = _current(seen)
    older = [rs for rs in seen.replicasets if 0 < revision(rs) < revision(now)]
    restarts: list[Json] = []
    while older:
        restarted = same_release(template_of(older[-1]), template_of(now))
        if not restarted and not withdrawn(older[-1]):
            break
        last = older.pop()
        if restarted:
            restarts.insert(0, last)
    return restarts, older


def _current(seen: Workload) -> Json:
    if seen.current is None or not revision(seen.current) or not is_observed(seen.deployment):
        raise Unknown(f"deployment {seen.name} asks for a release whose revision the controller has not made yet")
    return seen.current


def release_of(seen: Workload, replicaset: Json, container: str) -> Release:
    """One owned ReplicaSet as a release."""
    template_hash = hash_of(replicaset)
    pods = [pod for pod in seen.pods if hash_of(pod) == template_hash and not is_terminating(pod)]
    ready = [pod for pod in pods if is_ready(pod)]
    containers = replicaset["spec"]["template"]["spec"]["containers"]
    return Release(
        namespace=seen.deployment["metadata"]["namespace"],
        deployment=seen.name,
        revision=revision(replicaset),
        template_hash=template_hash,
        images=tuple(item["image"] for item in containers),
        digests=frozenset(digest for pod in ready or pods if (digest := digest_of(pod, container))),
        replicas=len(pods),
        ready=len(ready),
        created=released_at(replicaset, pods),
    )


def released_at(replicaset: Json, pods: list[Json]) -> float:
    """When this revision was released: its ReplicaSet's birth, or its oldest pod's when the ReplicaSet came back.

    0 when that cannot be told (an old ReplicaSet without pods).
    """
    if REVISION_HISTORY not in (replicaset["metadata"].get("annotations") or {}):
        return epoch(replicaset["metadata"].get("creationTimestamp"))
    return min((epoch(pod["metadata"].get("creationTimestamp")) for pod in pods), default=0.0)
