"""Raw series that make an indicator take a wanted value, in promtool's notation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from muster.errors import UsageError
from muster.system.environment import Environment
from muster.system.model import Example, Limit, System
from muster.system.promql import is_told_of
from muster.system.units import Unit

_NEAR = 0.01  # "just" over or under: one percent of the threshold
_FALLING = ("gauge", "rate", "increase", "ratio")
_REQUESTS = 1000.0  # per second, in examples that need traffic
_EQUALITIES = re.compile(r'\s*(?:[A-Za-z_]\w*="[^"]*"\s*(?:,\s*|$))*')


class Phase(Enum):
    """What the indicator does during a stretch of samples."""

    GOOD = "good"
    UNDER = "just under"
    OVER = "just over"


Stretches = Sequence[tuple[Phase, int]]  # phases with their number of samples


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One indicator's series as a function of what it should do; ``over`` is its value when just over."""

    over: float
    absent_is_over: bool
    series: Callable[[Stretches], list[dict[str, str]]]


def shape_of(system: System, environment: Environment, slo: str, limit: Limit, step_s: float) -> Shape:
    """The shape of an SLO around one of its limits. Raises :class:`~muster.errors.UsageError` without an example."""
    example = system.slo[slo].example
    if example is None:
        raise UsageError(f"slo.{slo}.example of {system.name} is missing: cases for its alerts cannot be generated")
    labels = labels_of(system.slo[slo].query, environment)
    if not _EQUALITIES.fullmatch(labels):
        raise UsageError(
            f"environments.{environment.name}.metric_selector of {system.name}: cases need matchers of the form "
            f'label="value", found {labels!r}'
        )
    if limit.above is None and example.shape not in _FALLING:
        shapes = ", ".join(_FALLING)
        raise UsageError(f"slo.{slo} of {system.name}: cases for limits with 'below' are generated for {shapes} only")
    return _Maker(example, limit, labels, step_s, system.slo[slo].window).shape()


def labels_of(query: str, environment: Environment) -> str:
    """The labels of series that the query reads: its matchers, for ``{pods}`` those of one pod of the Deployment."""
    if not is_told_of(query) or environment.kubernetes is None:
        return environment.metric_selector
    return f'namespace="{environment.kubernetes.namespace}",pod="{environment.kubernetes.deployment}-5c9d8f7b6-x2x4z"'


def measured(value: float, unit: Unit) -> str:
    """The value as Prometheus' template functions print it in an alert's description."""
    match unit:
        case Unit.RATIO:
            return f"{value * 100:.4g}%"
        case Unit.SECONDS:
            return _humanize_duration(value)
        case Unit.BYTES:
            return f"{_humanize(value)}B"
        case Unit.PER_SECOND:
            return f"{_humanize(value)}/s"
        case Unit.COUNT:
            return _humanize(value)


class _Maker:
    """Builds the series of one example."""

    def __init__(self, example: Example, limit: Limit, selector: str, step_s: float, window_s: float) -> None:
        self.example, self.selector = example, selector
        self.bound = bound = limit.bound
        self.step_s, self.window_s = step_s, window_s
        over = bound * (1 + _NEAR) if bound else 1.0
        self.values = {Phase.GOOD: bound / 2, Phase.UNDER: bound * (1 - _NEAR), Phase.OVER: over}
        if limit.below is not None:  # beside it by a part of the way to good: a window has to fill, whatever the limit
            good = 1.0 if example.shape == "ratio" else 2 * bound
            near = _NEAR * (good - bound)
            self.values = {Phase.GOOD: good, Phase.UNDER: bound + near, Phase.OVER: bound - near}
        if example.shape == "events":  # whole events: over the limit is one more than it
            self.bound = bound + 1
            self.values = {Phase.GOOD: 0.0, Phase.UNDER: self.bound * (1 - _NEAR), Phase.OVER: self.bound * (1 + _NEAR)}

    def shape(self) -> Shape:
        make = {
            "gauge": self._gauge, "rate": self._rate, "increase": self._increase, "events": self._increase,
            "ratio": self._ratio, "quantile": self._quantile, "down": self._down,
        }[self.example.shape]  # fmt: skip
        over = self.values[Phase.OVER]
        if self.example.shape == "quantile":
            over = self._quantile_over()
        elif self.example.shape == "increase":
            over = self._increase_rate(Phase.OVER) * self.window_s
        elif self.example.shape == "events":
            over = self.bound
        return Shape(over=over, absent_is_over=self.example.shape == "down", series=make)

    def _gauge(self, stretches: Stretches) -> list[dict[str, str]]:
        return [self._series(self.example.series, gauge([(self.values[phase], n) for phase, n in stretches]))]

    def _rate(self, stretches: Stretches) -> list[dict[str, str]]:
        return [self._counter(self.example.series, stretches, self.values.__getitem__)]

    def _increase(self, stretches: Stretches) -> list[dict[str, str]]:
        return [self._counter(self.example.series, stretches, self._increase_rate)]

    def _increase_rate(self, phase: Phase) -> float:
        """Per second. A limit of zero is passed by one whole event per sample, for a counter of events is whole."""
        if self.bound:
            return self.values[phase] / self.window_s
        return 1 / self.step_s if phase is Phase.OVER else 0.0

    def _ratio(self, stretches: Stretches) -> list[dict[str, str]]:
        return [
            self._counter(self.example.series, stretches, lambda phase: self.values[phase] * _REQUESTS),
            self._counter(self.example.rest, stretches, lambda phase: (1 - self.values[phase]) * _REQUESTS),
        ]

    def _quantile(self, stretches: Stretches) -> list[dict[str, str]]:
        """Requests below half the limit, below it, below its double: the quantile falls just beside the limit."""
        bounds = [self.bound / 2, self.bound, self.bound * 2]
        shares = [self._shares(bucket) for bucket in range(3)]
        made = [
            self._counter(_labelled(self.example.series, f'le="{le:.12g}"'), stretches, _times(share))
            for le, share in zip(bounds, shares, strict=True)
        ]
        whole = self._counter(_labelled(self.example.series, 'le="+Inf"'), stretches, lambda _: _REQUESTS)
        return [*made, whole]

    def _shares(self, bucket: int) -> dict[Phase, float]:
        q = self.example.quantile
        beside = {Phase.GOOD: 1.0, Phase.UNDER: q + 0.001, Phase.OVER: q - 0.001}
        return [dict.fromkeys(Phase, 0.5) | {Phase.GOOD: 1.0}, beside, dict.fromkeys(Phase, 1.0)][bucket]

    def _quantile_over(self) -> float:
        """Linear within the bucket above the limit, as histogram_quantile has it."""
        below = self.example.quantile - 0.001
        return self.bound * (1 + 0.001 / (1 - below))

    def _down(self, stretches: Stretches) -> list[dict[str, str]]:
        """Two replicas: one of them down is just under, both is over."""
        first = [(1.0 if phase is Phase.GOOD else 0.0, n) for phase, n in stretches]
        second = [(0.0 if phase is Phase.OVER else 1.0, n) for phase, n in stretches]
        return [
            self._series(_labelled(self.example.series, f'pod="{pod}"'), gauge(values))
            for pod, values in (("a", first), ("b", second))
        ]

    def _counter(self, series: str, stretches: Stretches, per_second: Callable[[Phase], float]) -> dict[str, str]:
        return self._series(series, counter([(per_second(phase) * self.step_s, n) for phase, n in stretches]))

    def _series(self, series: str, values: str) -> dict[str, str]:
        return {"series": _labelled(series, self.selector), "values": values}


def gauge(stretches: Sequence[tuple[float, int]]) -> str:
    """Values that stay for a number of samples each; one more of the first, so that sample n is at n steps."""
    return " ".join(
        f"{_number(value)}+0x{count if index == 0 else count - 1}" for index, (value, count) in enumerate(stretches)
    )


def counter(stretches: Sequence[tuple[float, int]]) -> str:
    """A counter from 0 that grows by so much for a number of samples each."""
    parts, total = [], 0.0
    for index, (growth, count) in enumerate(stretches):
        first, times = (0.0, count) if index == 0 else (total + growth, count - 1)
        parts.append(f"{_number(first)}+{_number(growth)}x{times}")
        total += growth * count
    return " ".join(parts)


def _times(share: dict[Phase, float]) -> Callable[[Phase], float]:
    return lambda phase: share[phase] * _REQUESTS


def _labelled(series: str, labels: str) -> str:
    """``series`` with further matchers."""
    if not labels.strip():
        return series
    return f"{series[:-1]},{labels}}}" if series.endswith("}") else f"{series}{{{labels}}}"


def _number(value: float) -> str:
    return f"{value:.12g}"


def _humanize(value: float) -> str:
    """``humanize`` of Prometheus' templates: four digits and a metric prefix."""
    if value == 0:
        return "0"
    prefixes = ["", "k", "M", "G", "T", "P"] if value >= 1 else ["", "m", "u", "n", "p"]
    for prefix in prefixes:
        if (1 <= value < 1000) or prefix == prefixes[-1]:
            return f"{value:.4g}{prefix}"
        value = value / 1000 if value >= 1 else value * 1000
    raise AssertionError("the last prefix returns")


def _humanize_duration(value: float) -> str:
    """``humanizeDuration`` of Prometheus' templates."""
    if value < 1:
        return f"{_humanize(value)}s" if value else "0s"
    if value < 60:
        return f"{value:.4g}s"
    parts = [
        (int(value // size) % wrap, suffix) for size, wrap, suffix in ((3600, 24, "h"), (60, 60, "m"), (1, 60, "s"))
    ]
    return " ".join(f"{count}{suffix}" for count, suffix in parts if count or suffix != "h")
