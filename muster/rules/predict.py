"""How long a fault takes to reach the pager, from the windows alone: the drill holds the measured time against it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from muster.rules.names import lasting
from muster.system.environment import Environment
from muster.system.model import System


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Between which times after the fault Alertmanager notifies, delivery itself not counted.

    ``parts`` holds the least and the most seconds of each step, at the environment's own scale.
    """

    lower_s: float
    upper_s: float
    parts: dict[str, tuple[float, float]]

    @property
    def firing_s(self) -> float:
        """The most until it fires, in Prometheus."""
        return self.upper_s - self.parts["group wait"][1]

    @property
    def pending_s(self) -> float:
        """The most until it is pending: what it stands on is then the case."""
        return self.firing_s - self.parts["for"][1]

    def __str__(self) -> str:
        steps = ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in self.parts.items() if high)
        return f"{self.lower_s:.3g} to {self.upper_s:.3g} s ({steps})"


def detection(
    system: System, environment: Environment, alert: str, *, value: float | None = None, new_targets: bool = False
) -> Prediction:
    """Predict the time from fault to notification of ``alert``.

    Args:
        system: The facts.
        environment: Gives the time scale and the intervals.
        alert: A name in ``system.alerts``.
        value: What the indicator will settle at, when known: a mean over a window crosses the limit once the share
            ``limit / value`` of the window is filled. Unknown: anything from none of the window to all of it.
        new_targets: The fault comes with pods that Prometheus has still to discover, as a bad release does.
    """
    slo, entry, limit = system.slo[system.alerts[alert].slo], system.alerts[alert], system.limit_of(alert)
    scrape = environment.scaled(environment.scrape_interval_s)
    evaluation = environment.scaled(environment.evaluation_interval_s)
    window = environment.scaled(slo.window) if slo.over else 0.0
    parts = {
        "discovery": (0.0, environment.discovery_s if new_targets else 0.0),
        "scrape": (0.0, scrape),
        "window": (window * _share(limit.bound, value) if limit.above is not None else 0.0, window),
        "evaluation": (0.0, evaluation),
        "for": _counted(lasting(system, environment, alert), evaluation),
        "group wait": (0.0, 0.0),
    }
    if entry.level not in ("critical", "rollback"):
        wait = environment.scaled(environment.group_wait_s)
        parts["group wait"] = (wait, wait)
    return Prediction(
        lower_s=sum(low for low, _ in parts.values()), upper_s=sum(high for _, high in parts.values()), parts=parts
    )


def _share(bound: float, value: float | None) -> float:
    return 0.0 if not value or value <= bound else bound / value


def _counted(seconds: float, evaluation: float) -> tuple[float, float]:
    """``for`` is counted in evaluations: the first at or after it; a late evaluation costs one more."""
    whole = math.ceil(round(seconds / evaluation, 6)) * evaluation
    return (whole, whole + evaluation if seconds else 0.0)
