"""Readings of every replica's own ``/metrics``: what it exposes, and rates where no Prometheus keeps them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from muster.read.exposition import ACCEPT, Page, page
from muster.read.replicas import addresses
from muster.read.session import each

if TYPE_CHECKING:
    from muster.read.session import Session

Pods = list[dict[str, Any]]
APART_S = 2.5  # between the two looks that rates are made of where there is no Prometheus


@dataclass(frozen=True)
class Look:
    """One replica's page and when it had arrived (seconds of the monotonic clock)."""

    at: float
    page: Page


async def read_metrics(session: Session, pods: Pods) -> dict[str, Any]:
    """A replica's page, for each of a sample: ``{"series": number, "names": [metric], "greps": {pattern: [metric]}}``.

    ``greps`` is what the runbooks' greps show of it. The page is read strictly: what is malformed (with its line), of
    another content type, or encoded otherwise than it says is that replica's failure.
    """
    patterns = [name.pattern for name in session.system.metric_names]
    known: dict[tuple[str, ...], dict[str, Any]] = {}  # replicas of one build expose the same series

    async def one(url: str) -> dict[str, Any]:
        found = (await _look(session, url)).page
        if found.series not in known:
            known[found.series] = {
                "series": len(found.series),
                "names": list(found.names),
                "greps": {pattern: found.grep(pattern) for pattern in patterns},
            }
        return known[found.series]

    return await each(addresses(session, pods, "/metrics", deep=True), one, session.deadline_s)


async def two_looks(session: Session, pods: Pods) -> dict[str, Any]:
    """Two looks at every replica's page, :data:`APART_S` apart: ``{replica: (Look, Look)}`` or its failure."""

    async def both(url: str) -> tuple[Look, Look]:
        first = await _look(session, url)
        await asyncio.sleep(max(0.0, first.at + APART_S - time.monotonic()))
        return first, await _look(session, url)

    async def ask() -> dict[str, Any]:
        return await each(addresses(session, pods, "/metrics"), both, APART_S + session.deadline_s)

    return await session.shared("two looks at /metrics", ask)


async def _look(session: Session, url: str) -> Look:
    answer = await session.http.fetch(url, headers={"Accept": ACCEPT})
    return Look(time.monotonic(), page(answer, url))
