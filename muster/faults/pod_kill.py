"""Pods are deleted, as a node's failure or an eviction would take them; the ReplicaSet must bring them back."""

from __future__ import annotations

import random
import time

from muster.faults import guard
from muster.faults.intent import EXPIRES_S, Intent, carry_out
from muster.faults.ledger import Entry, Ledger
from muster.faults.victims import aim
from muster.faults.whole import await_whole
from muster.kube import Kube, KubeError
from muster.system import Environment
from muster.wait import wait_until
from muster.workload import Json, is_terminating

KIND = "pod_kill"
NEEDS = frozenset({"kubernetes"})


def intend(
    kube: Kube,
    env: Environment,
    *,
    how_many: str = "one",
    grace_s: int | None = None,
    last_replica: bool = False,
    chance: random.Random | None = None,
) -> Intent:
    """Aim at ready pods: ``how_many``, ``last_replica`` and errors as in :func:`~muster.faults.victims.aim`.

    ``grace_s`` is the grace period in seconds; None is the pod's own, 0 is a kill without warning.
    ``undo["pods"]`` holds the names and uids that were chosen.
    """
    source = guard.cluster_of(env)
    victims = aim(kube, env, how_many, last_replica=last_replica, chance=chance)
    chosen = victims.identities
    grace = "" if grace_s is None else f", grace period {grace_s} s"

    def act(_: Entry) -> str:
        for pod in chosen:
            _delete(kube, source.namespace, pod, grace_s)
        return ""

    return Intent(
        kind=KIND,
        namespace=source.namespace,
        target="pods " + ", ".join(victims.names),
        sentences=(f"delete {victims.words} in {source.namespace}{grace}",),
        undo={"deployment": source.deployment, "pods": chosen},
        act=act,
        touches=victims.paths(source.namespace),
        pods=len(victims.chosen),
        ready=victims.ready,
    )


def inject(
    ledger: Ledger,
    kube: Kube,
    env: Environment,
    *,
    system: str,
    how_many: str = "one",
    grace_s: int | None = None,
    last_replica: bool = False,
    expires_s: float = EXPIRES_S,
    chance: random.Random | None = None,
) -> Entry:
    """Delete pods; the record is on disk first. See :func:`intend`; raises KubeError when one is not accepted."""
    intent = intend(kube, env, how_many=how_many, grace_s=grace_s, last_replica=last_replica, chance=chance)
    return carry_out(intent, ledger, kube, env, system=system, heal=heal, expires_s=expires_s)


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Nothing is undone: wait, bounded by the rollback's time limit, until the Deployment is fully available again."""
    return await_whole(kube, env, entry.namespace, entry.undo["deployment"])


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 30.0) -> float:
    """Wait until every chosen pod is gone or going; returns when that was seen, in seconds since the epoch."""
    uids = {pod["uid"] for pod in entry.undo["pods"]}
    selector = guard.cluster_of(env).selector

    def _alive() -> list[str]:
        pods = kube.get(f"/api/v1/namespaces/{entry.namespace}/pods", labelSelector=selector)["items"]
        return [pod["metadata"]["name"] for pod in pods if pod["metadata"]["uid"] in uids and not is_terminating(pod)]

    wait_until(
        _alive,
        lambda alive: not alive,
        what="killed pods were still there",
        timeout_s=timeout_s,
        show=", ".join,
    )
    return time.time()


def _delete(kube: Kube, namespace: str, pod: dict[str, str], grace_s: int | None) -> None:
    body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod["uid"]}}
    if grace_s is not None:
        body["gracePeriodSeconds"] = grace_s
    try:
        kube.delete(f"/api/v1/namespaces/{namespace}/pods/{pod['name']}", body)
    except KubeError as error:
        if error.status not in (404, 409):  # gone by itself, or replaced by a namesake: not ours to kill
            raise
