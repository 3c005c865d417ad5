"""Readings of the canary that an environment declares: who is led to it, and whether Prometheus knows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from muster.errors import Unknown
from muster.kube import KubeError
from muster.read.failures import ReadError
from muster.read.kubernetes import get, list_all, source_of
from muster.read.series import count
from muster.snapshot import FailureKind
from muster.system.promql import is_told_of, of_canary
from muster.workload import (
    deployment_path,
    epoch,
    is_ready,
    is_terminating,
    label_selector,
    ways_past_weight,
    weight_of,
)

if TYPE_CHECKING:
    from muster.read.session import Session
    from muster.system.rollback import Canary

_SCRAPES = 2  # a target is scraped once in the first interval, and its samples are asked for after that


async def read_canary(session: Session) -> dict[str, Any]:
    """``{"deployment", "ingress", "share", "ways", "wanted", "ready", "ready_for_s"}``.

    ``share`` is of the users, 0 to 1, and ``ways`` are those past it (headers, a cookie); 0 where its Ingress or its
    Deployment is not there, as between two releases. ``ready_for_s`` is the age of the longest ready pod's readiness.
    """
    canary, namespace = _canary_of(session), source_of(session).namespace
    ingresses = await list_all(session, f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses")
    ingress = next((item for item in ingresses if item["metadata"]["name"] == canary.ingress), None)
    told: dict[str, Any] = {"deployment": canary.deployment, "ingress": canary.ingress, "share": 0.0, "ways": []}
    if ingress is not None:
        try:
            told |= {"share": weight_of(ingress), "ways": ways_past_weight(ingress)}
        except Unknown as error:
            raise ReadError(FailureKind.UNPARSEABLE, str(error)) from None
    return told | await _pods_of(session, namespace, canary.deployment)


async def _pods_of(session: Session, namespace: str, name: str) -> dict[str, Any]:
    try:
        deployment = await get(session, deployment_path(namespace, name))
    except KubeError as error:
        if error.status != 404:
            raise
        return {"wanted": 0, "ready": 0, "ready_for_s": 0.0}
    pods = await list_all(session, f"/api/v1/namespaces/{namespace}/pods", label_selector(deployment))
    ready = [pod for pod in pods if is_ready(pod) and not is_terminating(pod)]
    since = [epoch(c.get("lastTransitionTime")) for pod in ready for c in pod["status"]["conditions"] if _is_ready(c)]
    for_s = round(max(0.0, time.time() - min(since)), 1) if since else 0.0
    return {"wanted": int(deployment["spec"].get("replicas", 1)), "ready": len(ready), "ready_for_s": for_s}


def _is_ready(condition: dict[str, Any]) -> bool:
    return bool(condition["type"] == "Ready")


async def read_canary_series(session: Session) -> dict[str, Any]:
    """``{"selector", "series": {metric: number}, "scraped", "settles_s"}``: what the canary's own triggers stand on.

    ``scraped``: how many targets the selector finds that answer; ``settles_s``: how long Prometheus may take to have
    the first samples of a new pod.
    """
    env = session.environment
    alone = of_canary(env)
    assert alone is not None  # noqa: S101 - a reader without a source is not run
    of = {session.system.alerts[name].slo for name in session.system.alerts if _is_trigger(session, name)}
    metrics = sorted({metric for name in of for metric in session.system.slo[name].series})
    wanted = {metric: f"{metric}{{{alone.metric_selector}}}" for metric in metrics}
    # Where the selector has labels that only the metrics themselves bring, it finds no `up`: then that tells nothing,
    # 0 are known to be scraped, and absent series are judged without it.
    answering = f"up{{{alone.metric_selector}}} == 1"
    counts = await count(session, [*wanted.values(), answering])
    settles_s = env.discovery_s + _SCRAPES * env.scaled(env.scrape_interval_s)
    series = {metric: counts[selector] for metric, selector in wanted.items()}
    scraped = counts[answering]
    return {"selector": alone.metric_selector, "series": series, "scraped": scraped, "settles_s": settles_s}


def _is_trigger(session: Session, name: str) -> bool:
    """As the rules choose them: rollback triggers that the canary's own series can give."""
    alert = session.system.alerts[name]
    slo = session.system.slo[alert.slo]
    return alert.level == "rollback" and not slo.reads_absence and not is_told_of(slo.query)


def _canary_of(session: Session) -> Canary:
    canary = session.environment.rollback.canary
    assert canary is not None  # noqa: S101 - a reader without a source is not run
    return canary
