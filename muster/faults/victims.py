"""Which pods a fault is aimed at, chosen before anything is touched."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from muster.errors import UsageError
from muster.faults import guard
from muster.kube import Kube
from muster.system import Environment
from muster.workload import Json, is_ready, is_terminating


@dataclass(frozen=True)
class Victims:
    """Ready pods that were chosen, of all that are ready."""

    chosen: tuple[Json, ...]
    ready: int

    @property
    def names(self) -> list[str]:
        """The chosen pods' names."""
        return [pod["metadata"]["name"] for pod in self.chosen]

    @property
    def identities(self) -> list[dict[str, str]]:
        """Name and uid of each, for the ledger: a namesake that comes later is another pod."""
        return [{"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]} for pod in self.chosen]

    @property
    def words(self) -> str:
        """``2 of 3 ready pods (a, b)``."""
        return f"{len(self.chosen)} of {self.ready} ready pods ({', '.join(self.names)})"

    def paths(self, namespace: str) -> tuple[str, ...]:
        """Their API paths."""
        return tuple(f"/api/v1/namespaces/{namespace}/pods/{name}" for name in self.names)


def aim(
    kube: Kube,
    env: Environment,
    how_many: str = "one",
    *,
    last_replica: bool = False,
    chance: random.Random | None = None,
) -> Victims:
    """Choose ready pods of the environment's selector by chance, as far as its guard allows.

    Args:
        kube: A session with the environment's cluster.
        env: The environment; its guard is asked.
        how_many: "one", "all", a number ("2") or a percentage ("50%", rounded up).
        last_replica: Whether every ready pod may be chosen.
        chance: Random source, for repeatable choices.

    Raises:
        Refused: The guard does not allow it.
        UsageError: ``how_many`` cannot be read, or no pod is ready.
        KubeError: The API could not be asked.
    """
    source = guard.cluster_of(env)
    ready = ready_pods(kube, env)
    chosen = choose(ready, how_many, chance or random.SystemRandom())
    guard.allow(env, kube, namespace=source.namespace, pods=len(chosen))
    guard.allow_share(env, touched=len(chosen), ready=len(ready), last_replica=last_replica)
    return Victims(tuple(chosen), len(ready))


def ready_pods(kube: Kube, env: Environment) -> list[Json]:
    """The environment's pods that get traffic: ready, and not terminating. Raises KubeError."""
    source = guard.cluster_of(env)
    pods = kube.get(f"/api/v1/namespaces/{source.namespace}/pods", labelSelector=source.selector)["items"]
    return [pod for pod in pods if is_ready(pod) and not is_terminating(pod)]


def choose(ready: Sequence[Json], how_many: str, chance: random.Random) -> list[Json]:
    """So many of the ready pods. Raises UsageError; see :func:`aim`."""
    if not ready:
        raise UsageError("no pod is ready, so breaking one would prove nothing")
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
        raise UsageError(f"{how_many} of {len(ready)} ready pods cannot be chosen")
    return chance.sample(list(ready), count)


def restarts(pods: Iterable[Json], container: str) -> dict[str, int]:
    """How often that container of each pod was restarted, by the pod's uid."""
    return {
        pod["metadata"]["uid"]: int(status.get("restartCount", 0))
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses") or []
        if status["name"] == container
    }
