"""From when on a fault can be seen: until Prometheus has scraped its new pods, no rule knows what is wrong there."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from muster.chaos.story import Story
from muster.errors import MusterError
from muster.judge.chain import start
from muster.judge.clock import ours
from muster.judge.link import since_injection
from muster.release import Monitor
from muster.system import Environment
from muster.timeline import Kind

ASK_S = 1.0  # for one answer


def seen_at(told: Story, env: Environment, monitor: Monitor, *, alert: str) -> float:
    """From when on alerts could see the fault, or will at the latest: new pods have to be discovered, others have not.

    Where the expected alert has become pending, that is when; else when the last of the new pods was scraped.
    """
    timeline = told.timeline()
    injected_at, in_force_at = since_injection(timeline), start(timeline)
    pending = timeline.first(Kind.ALERT_PENDING, after=injected_at, alert=alert) if alert else None
    if pending is not None:
        return pending.at
    confirmed = timeline.first(Kind.FAULT_CONFIRMED)
    pods = confirmed.data.get("pods") if confirmed is not None else None
    if not pods:
        return in_force_at
    latest_at = in_force_at + env.discovery_s
    scraped = scraped_at(monitor, pods, since=injected_at)
    if scraped is None:
        return latest_at
    return min(latest_at, max(in_force_at, ours(scraped, timeline.clocks.get("prometheus"))))


def scraped_at(monitor: Monitor, pods: Sequence[str], *, since: float) -> float | None:
    """When the last of these pods was first scraped, in seconds of Prometheus' clock; None while one was not yet.

    To a second, and never too early. ``since``: none was there before.
    """
    span_s = math.ceil(time.time() - since) + 1
    first = f'min_over_time((timestamp(up{{pod=~"{"|".join(sorted(pods))}"}} == 1))[{span_s}s:1s])'
    try:
        if monitor.value(f"count({first})", timeout_s=ASK_S) < len(pods):
            return None
        return monitor.value(f"max({first})", timeout_s=ASK_S)
    except MusterError:  # no answer, or none of them yet: the longest that discovery may take is waited for instead
        return None
