"""A canary beside the stable release: its share of users goes to 0 first, then its pods; proof of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from muster.errors import Unknown
from muster.kube import MERGE, Kube
from muster.release.keepers import read_deployed
from muster.release.known import read_known
from muster.release.model import Release, source_of
from muster.release.proof import Proof, Stage, judge_digests, until_judged
from muster.system import Environment
from muster.system.rollback import Canary
from muster.verdict import Verdict
from muster.workload import (
    CANARY,
    CANARY_WEIGHT,
    Json,
    Workload,
    deployment_path,
    digest_of,
    epoch,
    hash_of,
    is_terminating,
    ways_past_weight,
    weight_of,
)


@dataclass(frozen=True)
class CanarySight:
    """One look at a canary: its Deployment, the stable one, and what leads users to it."""

    canary: Workload
    stable: Workload
    ingress: Json


def canary_of(env: Environment) -> Canary:
    """The environment's canary. Raises :class:`~muster.errors.Unknown` when it declares none."""
    if env.rollback.canary is None:
        raise Unknown(f"environment {env.name} declares no canary")
    return env.rollback.canary


def look_canary(kube: Kube, env: Environment) -> CanarySight:
    """Seven requests at most. Raises :class:`~muster.kube.KubeError`."""
    source, canary = source_of(env), canary_of(env)
    return CanarySight(
        canary=read_deployed(kube, source.namespace, canary.deployment),
        stable=read_deployed(kube, source.namespace, source.deployment),
        ingress=kube.get(_ingress_path(source.namespace, canary.ingress)),
    )


def canary_obstacle(seen: CanarySight) -> str:
    """Why an abort would not help, in one sentence; empty when nothing is in the way."""
    name = seen.ingress["metadata"]["name"]
    notes = seen.ingress["metadata"].get("annotations") or {}
    if notes.get(CANARY) != "true":
        return f"ingress {name} is no canary (it lacks the annotation {CANARY})"
    if not weight_of(seen.ingress) and not ways_past_weight(seen.ingress):
        return f"the canary gets no traffic (weight 0 in ingress {name}), so aborting it would change nothing"
    if not seen.canary.wanted:
        return f"the canary {seen.canary.name} is scaled to 0, so aborting it would change nothing"
    return ""


def canary_since(seen: CanarySight, canary: Release) -> float:
    """Since when users are served by the canary, seconds since the epoch; 0 when that cannot be told.

    Since its oldest pod: one that was scaled up again tries its release anew, however old its ReplicaSet is.
    """
    pods = [pod for pod in seen.canary.pods if hash_of(pod) == canary.template_hash]
    born = min((epoch(pod["metadata"].get("creationTimestamp")) for pod in pods), default=0.0)
    return max(canary.created, born) if canary.created and born else 0.0


def take_traffic_off(kube: Kube, env: Environment) -> None:
    """The canary's weight goes to 0. Idempotent. Raises :class:`~muster.kube.KubeError`."""
    source, canary = source_of(env), canary_of(env)
    patch = {"metadata": {"annotations": {CANARY_WEIGHT: "0"}}}
    kube.patch(_ingress_path(source.namespace, canary.ingress), patch, kind=MERGE)


def scale_down(kube: Kube, env: Environment) -> None:
    """The canary's Deployment goes to no replicas. Idempotent. Raises :class:`~muster.kube.KubeError`."""
    source, canary = source_of(env), canary_of(env)
    kube.patch(deployment_path(source.namespace, canary.deployment), {"spec": {"replicas": 0}}, kind=MERGE)


def judge_canary(
    seen: CanarySight, *, bad: Release, stable: Release, container: str, recorded: frozenset[str] = frozenset()
) -> Stage:
    """Judge one look after an abort: no share, no pods, and the stable release on all of its replicas, unchanged."""
    left = [pod for pod in seen.canary.pods if not is_terminating(pod)]
    going = len(seen.canary.pods) - len(left)
    off = not weight_of(seen.ingress) and not seen.canary.serving()

    def _stage(verdict: Verdict | None, message: str, *, if_never: Verdict = Verdict.FAIL) -> Stage:
        return Stage(verdict=verdict, message=message, traffic_off=off, terminating=going, if_never=if_never)

    share = weight_of(seen.ingress)
    if share:
        return _stage(Verdict.FAIL, f"the canary still gets {share:.0%} of the users: its weight is not 0, or is again")
    if seen.canary.wanted:
        return _stage(Verdict.FAIL, f"the canary {seen.canary.name} still asks for {seen.canary.wanted} pods")
    now = seen.stable.current
    if now is None or hash_of(now) != stable.template_hash:
        return _stage(Verdict.FAIL, f"deployment {seen.stable.name} no longer asks for revision {stable.revision}")
    if left:
        return _stage(None, f"{len(left)} pods of the canary are left")
    serving = [pod for pod in seen.stable.serving() if hash_of(pod) == stable.template_hash]
    if not seen.stable.wanted:
        return _stage(Verdict.UNKNOWN, f"deployment {seen.stable.name} is scaled to 0, so nothing serves")
    if len(serving) < seen.stable.wanted:
        return _stage(None, f"{len(serving)} of {seen.stable.wanted} stable pods ready")
    digests = [digest_of(pod, container) for pod in serving]
    if not all(digests):
        return _stage(None, f"a stable pod reports no image id for {container}", if_never=Verdict.UNKNOWN)
    verdict, message = judge_digests(frozenset(digests), bad=bad, target=stable, recorded=recorded)
    return Stage(
        verdict=verdict,
        message=message,
        traffic_off=off,
        terminating=going,
        revision=stable.revision,
        digests=frozenset(digests),
        replicas=len(serving),
    )


def prove_canary(
    kube: Kube, env: Environment, *, bad: Release, stable: Release, timeout_s: float, tick: Callable[[Stage], None]
) -> Proof:
    """Look until the abort is proven or refuted, at most ``timeout_s`` seconds; see :func:`~muster.release.prove`."""
    source, recorded = source_of(env), list[frozenset[str]]()

    def _look() -> Stage:
        if not recorded:
            known = read_known(kube, source.namespace, source.deployment)
            recorded.append(known[stable.template_hash].digests if stable.template_hash in known else frozenset())
        seen = look_canary(kube, env)
        return judge_canary(seen, bad=bad, stable=stable, container=source.container, recorded=recorded[0])

    def _praise(stage: Stage, took_s: float) -> str:
        return (
            f"the canary gets no traffic and has no pod left; stable revision {stage.revision} serves on all "
            f"{stage.replicas} replicas after {took_s:.1f}s, build {stage.message}"
        )

    return until_judged(_look, timeout_s=timeout_s, tick=tick, praise=_praise, target=stable)


def drained(traffic: Callable[[], float | None], *, within_s: float, every_s: float, tick: Callable[[], None]) -> bool:
    """Wait until ``traffic`` (requests per second, None when that cannot be told) is 0; whether it was seen to be."""
    deadline = time.monotonic() + within_s
    while True:
        tick()
        if traffic() == 0:
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(every_s, left))


def _ingress_path(namespace: str, name: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{name}"
