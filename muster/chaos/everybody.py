"""Everybody's errors as Prometheus has them: the real users of a real cluster, whom no load generator of ours knows."""

from __future__ import annotations

import time
from collections.abc import Callable

from muster.chaos.story import Story
from muster.chaos.watch import TIMEOUT_S, Watcher
from muster.judge.stopping import StopConditions
from muster.release import Monitor
from muster.system import Environment, System
from muster.system.promql import fill
from muster.timeline import Kind

INDICATOR = "error_ratio"
EVERY_S = 1.0


def watched_s(system: System, env: Environment, conditions: StopConditions) -> float | None:
    """Over how many seconds of real time Prometheus is asked; None where it cannot tell users' errors.

    The conditions' own time, but never less than the facts' window: a rate over fewer scrapes is none.
    """
    slo = system.slo.get(INDICATOR)
    return max(conditions.over_s, env.scaled(slo.window)) if slo is not None and env.prometheus else None


class Everybody(Watcher):
    """Tells ``hear(ratio)`` the share of failed requests once its window holds nothing from before the fault.

    No samples and no traffic are failed reads, never a ratio of 0.
    """

    source = "stop conditions: everybody's errors"

    def __init__(
        self, story: Story, system: System, env: Environment, *, over_s: float, hear: Callable[[float], None]
    ) -> None:
        super().__init__(story, every_s=max(EVERY_S, env.scaled(env.scrape_interval_s)))
        self._query = fill(system.slo[INDICATOR].query, env, over_s * env.time_scale)
        self._over_s, self._tell_ratio, self._monitor = over_s, hear, Monitor(env)

    def look(self) -> None:
        """Ask once. Raises :class:`~muster.errors.Unknown` while Prometheus does not know."""
        fault = self.story.timeline().first(Kind.FAULT_INJECTED)
        if fault is not None and time.time() - fault.at >= self._over_s:
            self._tell_ratio(self._monitor.value(self._query, timeout_s=TIMEOUT_S))

    def close(self) -> None:
        """Close the connection."""
        self._monitor.close()
