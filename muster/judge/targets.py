"""Prometheus' scrape targets: everything that should be scraped is, freshly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.pods import Pod, staying


@dataclass(frozen=True, kw_only=True)
class Target:
    """One active scrape target."""

    job: str
    instance: str
    pod: str
    health: str
    last_error: str
    last_scrape: str


def targets(raw: list[Mapping[str, Any]]) -> tuple[Target, ...]:
    """The typed view of the reading ``targets``."""
    return tuple(Target(**entry) for entry in raw)


def assert_all_up(targets: tuple[Target, ...]) -> None:
    """Every target answers its scrapes. One that was never scraped is not known."""
    for target in targets:
        name = target.pod or target.instance
        claim(target.health != "down", f"Prometheus cannot scrape {name}: {target.last_error}")
    for target in targets:
        if target.health != "up":
            raise Unknown(f"Prometheus has not scraped {target.pod or target.instance} yet")


def assert_every_pod_is_scraped(targets: tuple[Target, ...], pods: tuple[Pod, ...]) -> None:
    """No replica is invisible: every ready pod is a target."""
    scraped = {target.pod for target in targets}
    for pod in staying(pods):
        claim(not pod.ready or pod.name in scraped, f"{pod.name} is ready, but Prometheus does not scrape it")
