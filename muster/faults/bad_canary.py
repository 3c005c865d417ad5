"""A bad canary: the release that is tried beside the stable one is another, and some of the users are sent to it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from muster.errors import UsageError
from muster.faults import guard
from muster.faults.bad_release import changes_in_words, pods_running, with_changes
from muster.faults.ingress_backend import CANARY
from muster.faults.injected import STORED, Injected, released
from muster.faults.intent import Intent
from muster.faults.ledger import Entry
from muster.faults.withdrawal import put_back, withdraw
from muster.kube import JSON_PATCH, MERGE, Kube, KubeError
from muster.system import Environment
from muster.system.rollback import Canary
from muster.wait import wait_until
from muster.workload import Json, Workload, deployment_path, is_ready, read_workload, revision, same_template

KIND = "bad_canary"
NEEDS = frozenset({"kubernetes", "canary"})
WEIGHT = f"{CANARY}-weight"


def intend(
    kube: Kube,
    env: Environment,
    *,
    env_vars: Mapping[str, str],
    image: str | None = None,
    weight: int = 10,
    replicas: int = 1,
) -> Intent:
    """Aim at the canary: it is released with these variables, and gets its users once its pods are ready.

    Args:
        kube: A session with the environment's cluster.
        env: The environment; it declares the canary (``rollback.canary``), and its guard is asked.
        env_vars: Variables of the canary's container, literal values.
        image: Another image for that container, or None to keep it.
        weight: Share of the users, in percent.
        replicas: So many pods of it at least.

    Raises:
        Refused: The guard does not allow it, or somebody tries a release there just now.
        UsageError: There is no canary, it is the one that runs already, or the weight is no share.
        KubeError: The API could not be asked.
    """
    source, canary = guard.cluster_of(env), _canary_of(env, weight=weight, replicas=replicas)
    path, ingress = deployment_path(source.namespace, canary.deployment), _ingress(source.namespace, canary.ingress)
    deployment, notes = kube.get(path), kube.get(ingress)["metadata"].get("annotations") or {}
    replicas_was = int(deployment["spec"].get("replicas", 1))
    wanted = max(replicas_was, replicas)
    guard.allow(env, kube, namespace=source.namespace, pods=wanted)
    guard.allow_users(env, percent=weight)
    _must_be_idle(canary.ingress, notes)
    good = deployment["spec"]["template"]
    bad = with_changes(good, source.container, env_vars, image)
    if same_template(good, bad):
        raise UsageError(f"deployment {canary.deployment} already runs this release, so nothing would be injected")

    def act(entry: Entry) -> str:
        stored = _put(kube, path, deployment, template=bad, replicas=wanted)["spec"]["template"]
        entry.undo[STORED] = stored  # it goes to disk with the next state
        _await(kube, env, source.namespace, canary.deployment, stored, timeout_s=env.rollback.timeout_s)
        kube.patch(ingress, {"metadata": {"annotations": {WEIGHT: str(weight)}}}, kind=MERGE)
        return f"{weight}% of the users"

    changes = ", ".join(changes_in_words(env_vars, image))
    return Intent(
        kind=KIND,
        namespace=source.namespace,
        target=f"deployment/{canary.deployment}",
        sentences=(
            f"release deployment {canary.deployment} in {source.namespace} with {changes}",
            *([f"scale it from {replicas_was} to {wanted}"] if wanted != replicas_was else []),
            f"send {weight}% of the users to it (ingress {canary.ingress}) once its pods are ready",
        ),
        undo={
            "deployment": canary.deployment,
            "ingress": canary.ingress,
            "good": good,
            "bad": bad,
            "revision": revision(deployment),
            "was": {"weight": notes.get(WEIGHT), "replicas": replicas_was},
            "weight": str(weight),
        },
        act=act,
        touches=(path, ingress),
        pods=wanted,
        ready=wanted,
    )


def _canary_of(env: Environment, *, weight: int, replicas: int) -> Canary:
    """The environment's canary. Raises UsageError where there is none, or none would come of what is asked."""
    if env.rollback.canary is None:
        raise UsageError(f"environment {env.name} declares no canary (rollback.canary), so there is none to be bad")
    if not 0 < weight <= 100 or replicas < 1:
        raise UsageError(f"a canary with {replicas} pods and {weight}% of the users is none")
    return env.rollback.canary


def _must_be_idle(ingress: str, notes: Mapping[str, str]) -> None:
    """Raise unless it is a canary's ingress that sends nobody there: UsageError, Refused."""
    weight = notes.get(WEIGHT)
    if notes.get(CANARY) != "true":
        raise UsageError(f"ingress {ingress} is no canary (it lacks the annotation {CANARY})")
    if weight not in (None, "0"):
        raise guard.Refused(f"ingress {ingress} has a weight of {weight}: a release is being tried there")


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Users first: the weight as it was, if it still is ours; then release and replicas, and wait for its good pods.

    What is done about the release is what :func:`muster.faults.bad_release.heal` does.

    Whoever has aborted the canary meanwhile has taken its users and pods off; its pods are put back all the same.
    """
    undo, done = entry.undo, []
    ingress, path = _ingress(entry.namespace, undo["ingress"]), deployment_path(entry.namespace, undo["deployment"])
    item = kube.find(ingress)
    if item and (item["metadata"].get("annotations") or {}).get(WEIGHT) == undo["weight"]:
        kube.patch(ingress, {"metadata": {"annotations": {WEIGHT: undo["was"]["weight"]}}}, kind=MERGE)
        done.append(f"ingress {undo['ingress']} sends nobody to the canary")
    deployment = kube.find(path)
    if deployment is None:
        return "; ".join([*done, f"deployment {undo['deployment']} is gone, and the bad canary with it"])
    fault, asked = Injected.of(entry), deployment["spec"]["template"]
    instead = fault.instead_of(asked)
    if instead is None:
        done.append(f"deployment {undo['deployment']} no longer asks for the bad canary")
        return "; ".join(done) + withdraw(kube, env, entry, fault)

    def _ask() -> Json:
        return _put(kube, path, deployment, template=instead, replicas=undo["was"]["replicas"])

    fault = fault.found_as(asked)
    done.append(put_back(kube, env, entry, fault, asked=instead, ask=_ask, what="bad canary"))
    return "; ".join(done) + withdraw(kube, env, entry, fault)


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 60.0) -> float:
    """Wait until the bad canary's pods serve; returns when, in seconds since the epoch. Its users were sent before."""
    guard.same_cluster(entry, env, kube)
    _await(kube, env, entry.namespace, entry.undo["deployment"], released(entry), timeout_s=timeout_s)
    return time.time()


def pods_of(kube: Kube, entry: Entry) -> list[Json]:
    """The bad canary's pods that are not terminating, ready or not."""
    return pods_running(read_workload(kube, entry.namespace, entry.undo["deployment"]), released(entry))


def _await(kube: Kube, env: Environment, namespace: str, name: str, bad: Json, *, timeout_s: float) -> None:
    """Until every pod that is asked for is of the bad release and ready."""

    def _ready(seen: Workload) -> int:
        return sum(is_ready(pod) for pod in pods_running(seen, bad))

    wait_until(
        lambda: read_workload(kube, namespace, name),
        lambda seen: bool(seen.wanted) and _ready(seen) >= seen.wanted and len(seen.serving()) == _ready(seen),
        what=f"the bad canary of deployment/{name} in environment {env.name} did not serve",
        timeout_s=timeout_s,
        show=lambda seen: f"{_ready(seen)} of {seen.wanted} pods ready",
        tolerate=(KubeError,),
    )


def _put(kube: Kube, path: str, seen: Json, *, template: Json, replicas: int) -> Json:
    """Replace template and replicas at once, provided that nobody has changed the spec since it was read.

    Returns the Deployment as the API has it then.
    """
    changes: list[Json] = [
        {"op": "test", "path": "/metadata/generation", "value": seen["metadata"]["generation"]},
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "add", "path": "/spec/replicas", "value": replicas},
    ]
    return kube.patch(path, changes, kind=JSON_PATCH)


def _ingress(namespace: str, name: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{name}"
