"""Pods are deleted, as a node's failure or an eviction would take them; the ReplicaSet must bring them back."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Sequence

from muster.errors import UsageError
from muster.faults import guard
from muster.faults.ledger import Entry, Ledger
from muster.kube import Kube, KubeError
from muster.system import Environment
from muster.wait import wait_until
from muster.workload import Json, is_ready, is_terminating, read_workload

KIND = "pod_kill"
NEEDS = frozenset({"kubernetes"})


def inject(
    ledger: Ledger,
    kube: Kube,
    env: Environment,
    *,
    system: str,
    how_many: str = "one",
    grace_s: int | None = None,
    expires_s: float = 300.0,
    chance: random.Random | None = None,
) -> Entry:
    """Delete ready pods of the environment's selector, chosen by chance; the record is on disk first.

    Args:
        ledger: Where the record goes.
        kube: A session with the environment's cluster.
        env: The environment; its guard is asked.
        system: The system's name, for the record.
        how_many: "one", "all", a number ("2") or a percentage ("50%", rounded up). Only "all" may take the last
            ready pod.
        grace_s: Grace period in seconds; None is the pod's own, 0 is a kill without warning.
        expires_s: Seconds until the fault is considered forgotten.
        chance: Random source, for repeatable choices.

    Returns:
        The entry, state injected; ``entry.undo["pods"]`` holds the names and uids that were chosen.

    Raises:
        Refused: The guard does not allow it.
        UsageError: ``how_many`` cannot be read, or no pod is ready.
        KubeError: The API did not accept a deletion.
    """
    source = guard.cluster_of(env)
    pods = kube.get(f"/api/v1/namespaces/{source.namespace}/pods", labelSelector=source.selector)["items"]
    ready = [pod for pod in pods if is_ready(pod) and not is_terminating(pod)]
    victims = choose(ready, how_many, chance or random.SystemRandom())
    guard.allow(env, kube, namespace=source.namespace, pods=len(victims))
    chosen = [{"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]} for pod in victims]
    entry = ledger.open(
        KIND,
        system=system,
        environment=env.name,
        server=kube.server,
        namespace=source.namespace,
        target="pods " + ", ".join(pod["name"] for pod in chosen),
        undo={"deployment": source.deployment, "pods": chosen},
        expires_s=expires_s,
    )
    at = time.time()
    for pod in chosen:
        _delete(kube, source.namespace, pod, grace_s)
    return ledger.injected(entry, at=at)


def choose(ready: Sequence[Json], how_many: str, chance: random.Random) -> list[Json]:
    """So many of the ready pods. Raises UsageError or Refused; see :func:`inject`."""
    if not ready:
        raise UsageError("no pod is ready, so killing one would prove nothing")
    percent = re.fullmatch(r"(\d{1,3})%", how_many)
    if how_many == "all":
        return list(ready)
    if how_many == "one" or how_many.isdigit():
        count = 1 if how_many == "one" else int(how_many)
    elif percent:
        count = math.ceil(len(ready) * int(percent[1]) / 100)
    else:
        raise UsageError(f"{how_many!r} is not a number of pods; write one, all, 2 or 50%")
    if not 1 <= count <= len(ready):
        raise UsageError(f"{how_many} of {len(ready)} ready pods cannot be killed")
    if count == len(ready):
        raise guard.Refused(f"{how_many} of {len(ready)} ready pods would leave none ready; say all if that is meant")
    return chance.sample(list(ready), count)


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Nothing is undone: wait, bounded by the rollback's time limit, until the Deployment is fully available again."""
    name = entry.undo["deployment"]
    wait_until(
        lambda: read_workload(kube, entry.namespace, name),
        lambda seen: not seen.shortfall() and len(seen.serving()) >= seen.wanted,
        what=f"deployment {name} was not fully available again",
        timeout_s=env.rollback.timeout_s,
        show=lambda seen: seen.shortfall() or f"{len(seen.serving())} of {seen.wanted} pods ready",
        tolerate=(KubeError,),
    )
    return f"deployment {name} is fully available"


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
