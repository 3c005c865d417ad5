"""PromQL as the facts write it -> PromQL for one environment."""

from __future__ import annotations

from muster.system.environment import Environment
from muster.system.units import duration

RELEASE, CANARY = "release", "canary"  # the label of alerts that speak of the canary alone, and its value


def prom_duration(seconds: float) -> str:
    """A duration as Prometheus wants it: whole units, so 2.5 s is ``2500ms``. Never below one millisecond but 0."""
    milliseconds = round(seconds * 1000)
    if seconds > 0 and milliseconds == 0:
        milliseconds = 1
    return f"{milliseconds}ms" if milliseconds % 1000 else duration(milliseconds // 1000)


def fill(query: str, environment: Environment, window_s: float) -> str:
    """``{selector}``, ``{pods}`` and ``{window}`` replaced, literally; ``window_s`` is at true scale."""
    window = prom_duration(environment.scaled(window_s))
    query = query.replace("{selector}", environment.metric_selector).replace("{pods}", environment.pod_selector)
    return query.replace("{window}", window)


def of_canary(environment: Environment) -> Environment | None:
    """The environment as if it were its canary alone; None where no canary with series of its own is declared."""
    canary = environment.rollback.canary
    if canary is None or not canary.metric_selector:
        return None
    return environment.model_copy(update={"metric_selector": canary.metric_selector})


def is_told_of(query: str) -> bool:
    """Whether the query reads what another program tells of the pods (``{pods}``), not what they say themselves."""
    return "{pods}" in query


def selector_of(query: str, environment: Environment) -> str:
    """The matchers of the series that a query reads."""
    return environment.pod_selector if is_told_of(query) else environment.metric_selector
