"""The canary: a trigger on series that do not exist stays silent, and for a canary nothing else would notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.undeclared import Undeclared


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A canary as it stands: ``share`` of the users (0 to 1), ``ways`` to it past that; counts are pods."""

    deployment: str
    ingress: str
    share: float
    ways: tuple[str, ...]
    wanted: int
    ready: int
    ready_for_s: float


@dataclass(frozen=True, kw_only=True)
class CanarySeries:
    """How many series each metric of its triggers has; ``settles_s`` after readiness there should be some.

    ``scraped`` is the number of targets by that selector that answer Prometheus.
    """

    selector: str
    series: Mapping[str, int]
    scraped: int
    settles_s: float


def canary(raw: Mapping[str, Any]) -> Canary:
    """The typed view of the reading ``canary``."""
    return Canary(**{**raw, "ways": tuple(raw["ways"])})


def canary_series(raw: Mapping[str, Any]) -> CanarySeries:
    """The typed view of the reading ``canary_series``."""
    return CanarySeries(**raw)


def assert_its_series_are_found(canary: Canary, found: CanarySeries) -> None:
    """A canary that serves users has series by ``rollback.canary.metric_selector``, or none of its triggers can fire.

    Nothing to tell while nobody is led to it; Unknown while no pod is ready, while Prometheus may not have seen the
    pods yet, and where only some series are absent (a counter that nothing has counted yet is absent, too), or all are
    while the selector finds pods that are scraped: who is led to it by a header need not have come yet.
    """
    if not found.series:
        raise Undeclared("no rollback trigger of the facts is judged for a canary by itself")
    if not canary.share and not canary.ways:
        raise Undeclared(
            f"nothing is tried now: the canary {canary.deployment} gets no users (ingress {canary.ingress})"
        )
    who = f"the canary {canary.deployment}, with {_led(canary)}"
    if not canary.wanted:
        raise Undeclared(f"nothing is tried now: the canary {canary.deployment} is scaled to 0")
    if not canary.ready:
        raise Unknown(f"{who}, has no ready pod, so whether its series can be found is not known")
    absent = [metric for metric, number in found.series.items() if not number]
    if absent and canary.ready_for_s < found.settles_s:
        young = f"ready for {canary.ready_for_s:.0f} s, and Prometheus may take {found.settles_s:.0f} s to have samples"
        raise Unknown(f"{who}, has no series {', '.join(absent)} yet: {young}")
    where = f"by rollback.canary.metric_selector {found.selector}"
    if len(absent) == len(found.series):
        none = f"{who}, has none of its triggers' series {where}"
        claim(found.scraped > 0, f"{none}: no alert speaks of it, and nothing would abort it")
        raise Unknown(
            f"{none}, though Prometheus scrapes by that selector (targets up: {found.scraped}): nobody has visited it "
            f"yet, or its metrics have other names than {', '.join(absent)}, and then nothing would abort it"
        )
    if absent:
        raise Unknown(f"{who}, has no series {', '.join(absent)} {where}: triggers that stand on them stay silent")


def _led(canary: Canary) -> str:
    led = [f"{canary.share:.0%} of the users"] if canary.share else []
    return " and ".join([*led, *(f"users led {way}" for way in canary.ways)])
