"""The service is taken away from outside: its Deployment is scaled to 0. No release is at fault, so none helps."""

from __future__ import annotations

import time

from muster.faults import guard
from muster.faults.intent import Intent
from muster.faults.ledger import Entry
from muster.faults.victims import aim, ready_pods
from muster.faults.whole import await_whole
from muster.kube import MERGE, Kube, KubeError
from muster.system import Environment
from muster.wait import wait_until
from muster.workload import deployment_path

KIND = "scale_to_zero"
NEEDS = frozenset({"kubernetes"})


def intend(kube: Kube, env: Environment, *, last_replica: bool = False) -> Intent:
    """Aim at every replica, which the experiment must say it means: ``last_replica: true``.

    Raises :class:`~muster.faults.guard.Refused`, UsageError when no pod is ready, KubeError.
    """
    source = guard.cluster_of(env)
    victims = aim(kube, env, "all", last_replica=last_replica)
    path = deployment_path(source.namespace, source.deployment)
    replicas = int(kube.get(path)["spec"].get("replicas", 1))

    def act(_: Entry) -> str:
        kube.patch(f"{path}/scale", {"spec": {"replicas": 0}}, kind=MERGE)
        return ""

    return Intent(
        kind=KIND,
        namespace=source.namespace,
        target=f"deployment/{source.deployment}",
        sentences=(
            f"scale deployment {source.deployment} in {source.namespace} from {replicas} to 0",
            f"that ends {victims.words}",
        ),
        undo={"deployment": source.deployment, "replicas": replicas},
        act=act,
        touches=(path,),
        pods=len(victims.chosen),
        ready=victims.ready,
    )


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Scale it back if it is still at 0, and wait until it is whole; somebody else's number is left alone."""
    name = entry.undo["deployment"]
    path = deployment_path(entry.namespace, name)
    try:
        if int(kube.get(path)["spec"].get("replicas", 1)) == 0:
            kube.patch(f"{path}/scale", {"spec": {"replicas": entry.undo["replicas"]}}, kind=MERGE)
    except KubeError as error:
        if error.status == 404:
            return f"deployment {name} is gone"
        raise
    return await_whole(kube, env, entry.namespace, name)


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 60.0) -> float:
    """Wait until no pod is ready any more; returns when that was seen, in seconds since the epoch."""
    wait_until(
        lambda: [pod["metadata"]["name"] for pod in ready_pods(kube, env)],
        lambda ready: not ready,
        what=f"{entry.target} still had ready pods",
        timeout_s=timeout_s,
        show=", ".join,
    )
    return time.time()
