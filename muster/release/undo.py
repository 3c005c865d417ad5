"""Kubernetes' own undo: ``kubectl rollout undo``'s request, with a test that the spec is still the bad one."""

from __future__ import annotations

from muster.kube import JSON_PATCH, Kube, KubeError
from muster.release.model import Release, RollbackRefused, current_of, look, source_of
from muster.system import Environment
from muster.workload import (
    REVISION,
    REVISION_HISTORY,
    WITHDRAWN,
    Json,
    Workload,
    deployment_path,
    revision,
    same_build,
    template_of,
    withdrawn,
)

_KEPT_FROM_DEPLOYMENT = (
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
)
_ATTEMPTS = 3  # somebody else may change the spec between our read and our patch: an autoscaler, a person


def obstacle(seen: Workload, target: Release | None) -> str:
    """Why a rollback to ``target`` would not help or cannot be done, in one sentence; empty when nothing is."""
    name = seen.name
    if seen.deployment["spec"].get("paused"):
        return f"deployment {name} is paused, and a paused rollout cannot be undone"
    if seen.wanted == 0:
        return f"deployment {name} is scaled to 0, and no other release would be served either: scale it up"
    if target is None:
        return f"deployment {name} has no previous revision to roll back to{_passed_over(seen)}"
    replicaset = seen.replicaset(target.template_hash)
    if replicaset is None:
        return f"revision {target.revision} of deployment {name} is no longer in its history"
    if withdrawn(replicaset):
        return f"revision {target.revision} of deployment {name} is a {withdrawn(replicaset)}"
    if same_build(template_of(replicaset), seen.template):
        return (
            f"the previous revision {target.revision} of deployment {name} runs the same pod spec as the current one, "
            "so a rollback would change nothing"
        )
    return ""


def _passed_over(seen: Workload) -> str:
    """The revisions that were withdrawn, in words."""
    bad = [f"revision {revision(item)} is a {words}" for item in seen.replicasets if (words := withdrawn(item))]
    return f": {'; '.join(bad)}" if bad else ""


def patch_for(seen: Workload, target: Release) -> list[Json]:
    """The JSON patch: a test that nobody was faster, the target's template without the controller's label, annotations.

    Annotations that belong to the Deployment itself stay; all others come with the revision, change-cause among them.
    """
    replicaset = seen.replicaset(target.template_hash)
    if replicaset is None:
        raise RollbackRefused(obstacle(seen, target))
    own = seen.deployment["metadata"].get("annotations") or {}
    kept = {key: own[key] for key in _KEPT_FROM_DEPLOYMENT if key in own}
    brought = {
        key: value
        for key, value in (replicaset["metadata"].get("annotations") or {}).items()
        if key not in (*_KEPT_FROM_DEPLOYMENT, WITHDRAWN)
    }
    return [
        {"op": "test", "path": "/metadata/generation", "value": seen.deployment["metadata"]["generation"]},
        {"op": "replace", "path": "/spec/template", "value": template_of(replicaset)},
        {"op": "replace", "path": "/metadata/annotations", "value": {**kept, **brought}},
    ]


def roll_back(
    kube: Kube, env: Environment, previous: Release, *, bad: Release | None = None, seen: Workload | None = None
) -> int:
    """Undo to ``previous``; returns the Deployment's new generation. The rollout itself is for :func:`prove` to see.

    Args:
        kube: A session with the environment's cluster.
        env: The environment.
        previous: The release to go back to.
        bad: The release that must still be the current one; None takes whatever is current.
        seen: A look that was just taken, to save its three requests.

    Raises:
        RollbackRefused: Nothing was changed, and why.
        KubeError: The API did not accept the patch.
    """
    source = source_of(env)
    for attempt in range(1, _ATTEMPTS + 1):
        seen = seen or look(kube, env)
        reason = obstacle(seen, previous)
        if reason:
            raise RollbackRefused(reason)
        now = current_of(seen, source.container)
        if bad is not None and now.template_hash != bad.template_hash:
            raise RollbackRefused(
                f"deployment {seen.name} is at revision {now.revision} now, no longer at {bad.revision}: "
                "somebody was faster"
            )
        try:
            patched = kube.patch(
                deployment_path(source.namespace, source.deployment), patch_for(seen, previous), kind=JSON_PATCH
            )
        except KubeError as error:
            if error.status not in (409, 422) or attempt == _ATTEMPTS:
                raise
            seen = None  # the spec has changed since: look again
        else:
            return int(patched["metadata"]["generation"])
    raise AssertionError  # the last attempt returns or raises
