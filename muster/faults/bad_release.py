"""A bad release: the Deployment gets another environment (and image), as any deploy pipeline would give it."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping

from muster.errors import MusterError, UsageError
from muster.faults import guard
from muster.faults.injected import STORED, Injected, released
from muster.faults.intent import Intent, carry_out
from muster.faults.ledger import Entry, Ledger
from muster.faults.withdrawal import put_back, withdraw
from muster.kube import JSON_PATCH, Kube
from muster.system import Environment
from muster.wait import wait_until
from muster.workload import (
    Json,
    Workload,
    deployment_path,
    hash_of,
    is_ready,
    is_terminating,
    read_workload,
    revision,
    same_template,
    template_of,
)

KIND = "bad_release"
NEEDS = frozenset({"kubernetes"})


def intend(
    kube: Kube,
    env: Environment,
    *,
    env_vars: Mapping[str, str],
    image: str | None = None,
    progress_deadline_s: int | None = None,
) -> Intent:
    """Aim at the system's Deployment: a release with these variables set (and this image).

    Args:
        kube: A session with the environment's cluster.
        env: The environment; its guard is asked.
        env_vars: Variables of the environment's container, literal values.
        image: Another image for that container, or None to keep it.
        progress_deadline_s: The Deployment's progress deadline while this release is out, or None to keep it.

    Raises:
        Refused: The guard does not allow it.
        UsageError: The release would be the one that runs already.
        KubeError: The API could not be asked.
    """
    source = guard.cluster_of(env)
    path = deployment_path(source.namespace, source.deployment)
    deployment = kube.get(path)
    replicas = int(deployment["spec"].get("replicas", 1))
    guard.allow(env, kube, namespace=source.namespace, pods=replicas)
    guard.allow_share(env, touched=replicas, ready=replicas, last_replica=True)  # it is meant for all of them
    good = deployment["spec"]["template"]
    bad = with_changes(good, source.container, env_vars, image)
    if same_template(good, bad):
        raise UsageError(f"deployment {source.deployment} already runs this release, so nothing would be injected")

    def act(entry: Entry) -> str:
        stored = _swap(kube, path, deployment, bad, deadline_s=progress_deadline_s)
        entry.undo[STORED] = stored["spec"]["template"]  # it goes to disk with the next state
        return ""

    changes = changes_in_words(env_vars, image)
    changes += [f"progress deadline {progress_deadline_s} s"] if progress_deadline_s is not None else []
    return Intent(
        kind=KIND,
        namespace=source.namespace,
        target=f"deployment/{source.deployment}",
        sentences=(f"release deployment {source.deployment} in {source.namespace} with {', '.join(changes)}",),
        undo={
            "deployment": source.deployment,
            "good": good,
            "bad": bad,
            "revision": revision(deployment),
            "deadline": None if progress_deadline_s is None else deployment["spec"].get("progressDeadlineSeconds"),
        },
        act=act,
        touches=(path,),
        pods=replicas,
        ready=replicas,
    )


def inject(
    ledger: Ledger,
    kube: Kube,
    env: Environment,
    *,
    system: str,
    env_vars: Mapping[str, str],
    image: str | None = None,
    progress_deadline_s: int | None = None,
    expires_s: float = 600.0,
) -> Entry:
    """Release it; the record is on disk first. See :func:`intend`; raises KubeError when the API does not accept it."""
    intent = intend(kube, env, env_vars=env_vars, image=image, progress_deadline_s=progress_deadline_s)
    return carry_out(intent, ledger, kube, env, system=system, heal=heal, expires_s=expires_s)


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Take what was injected out of the Deployment, wait until no bad pod is left, and withdraw the bad release.

    The good template is put back if the Deployment asks for the bad one. Where somebody has changed it since, only what
    was injected is undone, and the rest stays theirs.
    """
    name, path = entry.undo["deployment"], deployment_path(entry.namespace, entry.undo["deployment"])
    deployment = kube.find(path)
    if deployment is None:
        return f"deployment {name} is gone, and the bad release with it"
    deadline_s, fault = entry.undo.get("deadline"), Injected.of(entry)
    asked = deployment["spec"]["template"]
    instead = fault.instead_of(asked)
    if instead is None:
        if deadline_s not in (None, deployment["spec"].get("progressDeadlineSeconds")):
            _swap(kube, path, deployment, asked, deadline_s=deadline_s)
        return f"deployment {name} no longer asks for the bad release" + withdraw(kube, env, entry, fault)

    def _ask() -> Json:
        return _swap(kube, path, deployment, instead, deadline_s=deadline_s)

    fault = fault.found_as(asked)
    back = put_back(kube, env, entry, fault, asked=instead, ask=_ask, what="bad release")
    return back + withdraw(kube, env, entry, fault)


def confirm(kube: Kube, env: Environment, entry: Entry, *, first: bool = False, timeout_s: float = 60.0) -> float:
    """Wait until every ready pod (with ``first``: any) runs the bad release; returns when, in seconds since the epoch.

    Raises :class:`~muster.wait.TimedOut` with what was seen instead. A release that never becomes ready cannot be
    confirmed so: see :func:`confirm_stalled`.
    """
    guard.same_cluster(entry, env, kube)
    bad = released(entry)

    def _in_force(seen: Workload) -> bool:
        ready = seen.serving()
        if first:
            return _hash(seen, bad) in {hash_of(pod) for pod in ready}
        return bool(ready) and len(ready) >= seen.wanted and {hash_of(pod) for pod in ready} == {_hash(seen, bad)}

    def _show(seen: Workload) -> str:
        ready = seen.serving()
        share = sum(hash_of(pod) == _hash(seen, bad) for pod in ready)
        return f"{share} of {len(ready)} ready pods run it, {seen.wanted} wanted"

    wait_until(
        lambda: read_workload(kube, entry.namespace, entry.undo["deployment"]),
        _in_force,
        what=f"the bad release was not in force on every pod of {entry.target}",
        timeout_s=timeout_s,
        show=_show,
    )
    return time.time()


def confirm_stalled(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 60.0) -> tuple[float, str]:
    """Wait until the bad release runs and is not ready, or cannot run: its rollout stands behind the old replicas.

    Returns when that was seen, in seconds since the epoch, and how it stands, in words.
    """
    guard.same_cluster(entry, env, kube)
    container = guard.cluster_of(env).container
    last: list[str] = []

    def _standing(seen: Workload) -> list[str]:
        last[:] = [_state_of(pod, container) for pod in pods_running(seen, released(entry)) if not is_ready(pod)]
        return [state for state in last if state]

    wait_until(
        lambda: read_workload(kube, entry.namespace, entry.undo["deployment"]),
        lambda seen: bool(_standing(seen)),
        what=f"no pod of the bad release of {entry.target} was seen in trouble",
        timeout_s=timeout_s,
        show=lambda seen: f"{len(pods_running(seen, entry.undo['bad']))} pods of it",
    )
    return time.time(), ", ".join(filter(None, last))


def _state_of(pod: Json, container: str) -> str:
    """How the container stands, in the kubelet's words; empty while it is still being made."""
    for status in pod.get("status", {}).get("containerStatuses") or []:
        if status["name"] != container:
            continue
        waiting = status.get("state", {}).get("waiting", {}).get("reason", "")
        if waiting in ("ContainerCreating", "PodInitializing"):
            return ""
        return str(waiting) or ("running, not ready" if status.get("state", {}).get("running") else "ended")
    return ""


def pods_of(kube: Kube, entry: Entry) -> list[Json]:
    """The pods of the bad release that are not terminating, ready or not."""
    return pods_running(read_workload(kube, entry.namespace, entry.undo["deployment"]), released(entry))


def changes_in_words(env_vars: Mapping[str, str], image: str | None) -> list[str]:
    """What a bad release has that the good one has not, as plans and reports say it: ``NAME=value``, ``image NAME``."""
    return [f"{name}={value}" for name, value in sorted(env_vars.items())] + ([f"image {image}"] if image else [])


def with_changes(template: Json, container: str, env_vars: Mapping[str, str], image: str | None) -> Json:
    """A copy of the pod template with variables set (in place where they exist) and another image."""
    changed = copy.deepcopy(template)
    found = next((item for item in changed["spec"]["containers"] if item["name"] == container), None)
    if found is None:
        raise MusterError(f"the deployment has no container {container!r}")
    if image is not None:
        found["image"] = image
    kept = [item for item in found.get("env") or [] if item["name"] not in env_vars]
    variables = kept + [{"name": name, "value": str(value)} for name, value in sorted(env_vars.items())]
    if variables:
        found["env"] = variables
    return changed


def _swap(kube: Kube, path: str, seen: Json, template: Json, *, deadline_s: int | None = None) -> Json:
    """Replace the template (and the progress deadline), provided that nobody has changed the spec since it was read.

    Returns the Deployment as the API has it then.
    """
    changes: list[Json] = [
        {"op": "test", "path": "/metadata/generation", "value": seen["metadata"]["generation"]},
        {"op": "replace", "path": "/spec/template", "value": template},
    ]
    if deadline_s is not None:
        changes.append({"op": "add", "path": "/spec/progressDeadlineSeconds", "value": deadline_s})
    return kube.patch(path, changes, kind=JSON_PATCH)


def _hash(seen: Workload, template: Json) -> str:
    return next((hash_of(rs) for rs in seen.replicasets if same_template(template_of(rs), template)), "none yet")


def pods_running(seen: Workload, template: Json) -> list[Json]:
    """The workload's pods of this template that are not terminating."""
    wanted = _hash(seen, template)
    return [pod for pod in seen.pods if hash_of(pod) == wanted and not is_terminating(pod)]
