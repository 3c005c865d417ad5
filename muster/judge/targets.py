"""Prometheus' scrape targets: everything that should be scraped is, freshly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.pods import Pod, staying
from muster.system.units import duration

MISSED_SCRAPES = 4  # so many may be missed, and
SLACK_S = 1.0  # this much more, for a busy machine


@dataclass(frozen=True, kw_only=True)
class Target:
    """One active scrape target."""

    job: str
    instance: str
    pod: str
    health: str
    last_error: str
    last_scrape: str
    age_s: float | None = None  # of the last scrape, None before the first
    interval_s: float | None = None  # between scrapes
    leaving: bool = False  # its pod is being taken away


def targets(raw: list[Mapping[str, Any]], *, leaving: Collection[str] = ()) -> tuple[Target, ...]:
    """The typed view of the reading ``targets``; ``leaving`` are the pods that are being taken away."""
    return tuple(Target(**entry, leaving=bool(entry["pod"]) and entry["pod"] in leaving) for entry in raw)


def assert_all_up(targets: tuple[Target, ...]) -> None:
    """Every target answers its scrapes. One that was never scraped is not known; one that is leaving need not."""
    kept = _kept(targets)
    for target in kept:
        name = target.pod or target.instance
        claim(target.health != "down", f"Prometheus cannot scrape {name}: {target.last_error}")
    for target in kept:
        if target.health != "up":
            raise Unknown(f"Prometheus has not scraped {target.pod or target.instance} yet")


def assert_scrapes_are_fresh(targets: tuple[Target, ...]) -> None:
    """Prometheus scrapes as often as it was told to: the last scrape is a few intervals old at most."""
    for target in _kept(targets):
        name = target.pod or target.instance
        if target.age_s is None or target.interval_s is None:
            raise Unknown(f"it is not known how old the last scrape of {name} is")
        limit = MISSED_SCRAPES * target.interval_s + SLACK_S
        late = f"Prometheus last scraped {name} {duration(round(target.age_s, 1))} ago"
        claim(target.age_s <= limit, f"{late}, though its interval is {duration(target.interval_s)}")


def _kept(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """Those whose pods stay. Raises Unknown when there is none: nothing would be judged."""
    kept = tuple(target for target in targets if not target.leaving)
    if not kept:
        raise Unknown("every pod that Prometheus scrapes is being taken away")
    return kept


def assert_every_metric_is_present(series: Mapping[str, int]) -> None:
    """Prometheus holds every metric that the SLOs stand on, with this environment's labels."""
    if not series:
        raise Unknown("the facts name no series, so there is nothing to look for")
    missing = [name for name, number in series.items() if not number]
    claim(not missing, f"Prometheus has no series {', '.join(missing)} here: every alert on it is silent")


def assert_every_pod_is_scraped(targets: tuple[Target, ...], pods: tuple[Pod, ...]) -> None:
    """No replica is invisible: every ready pod is a target. Raises Unknown while none is ready: nothing was judged."""
    scraped = {target.pod for target in targets}
    ready = [pod.name for pod in staying(pods) if pod.ready]
    for name in ready:
        claim(name in scraped, f"{name} is ready, but Prometheus does not scrape it")
    if not ready:
        raise Unknown("no pod is ready, so it cannot be told whether Prometheus would scrape it")
