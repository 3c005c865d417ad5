"""One SLO's indicator and its ladder: rollback and critical fail, warning and a missed objective warn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.undeclared import declared
from muster.system.model import LevelName, Limit, Slo, System
from muster.system.units import show
from muster.verdict import SLOWarning

FAILING: tuple[LevelName, ...] = ("rollback", "critical")


class Breach(AssertionError):  # noqa: N818 - the field's word
    """An SLO's limit is broken: the level says which alert and which action of the facts are due."""

    def __init__(self, message: str, *, slo: str, level: LevelName) -> None:
        super().__init__(message)
        self.slo = slo
        self.level = level


@dataclass(frozen=True, kw_only=True)
class Indicator:
    """What was measured of one SLO. Values are in the SLO's base unit; ``over`` is the window as people write it.

    ``gaps`` say what the value does not speak for (a target that is down, a replica without samples): a value that
    breaks a limit fails all the same, one that holds is UNKNOWN.
    """

    name: str
    label: str  # "<system>/<environment>"
    slo: Slo
    value: float
    per_replica: Mapping[str, float]
    over: str = ""
    gaps: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.describe(self.value)

    def describe(self, value: float, replica: str = "") -> str:
        """``x0tta6bl4/lab latency_p95 of pod-1 620 ms``."""
        of = f" of {replica}" if replica else ""
        return f"{self.label} {self.name}{of} {show(value, self.slo.unit)}"


def assert_holds(indicator: Indicator) -> None:
    """The system's value against the ladder.

    Raises :class:`Breach` (an AssertionError) over the rollback or critical level, and
    :class:`~muster.errors.Unknown` when it holds but has gaps; warns :class:`~muster.verdict.SLOWarning` over the
    warning level or when the objective is missed.
    """
    _assert_values(indicator, {"": indicator.value})


def assert_every_replica_holds(indicator: Indicator) -> None:
    """Each replica's value against the same ladder: one bad replica of many must show."""
    if not indicator.per_replica:
        raise Unknown(f"{indicator.label} {indicator.name}: no replica has samples of its own")
    _assert_values(indicator, indicator.per_replica)


def assert_there_is_traffic(throughput: Indicator) -> None:
    """Some request was served in the window: without any, no ratio and no quantile means anything."""
    claim(throughput.value > 0, f"{throughput}{_over(throughput)}: nobody is served")
    for replica, value in throughput.per_replica.items():
        idle = f"{throughput.describe(value, replica)}{_over(throughput)}: it gets no traffic"
        claim(value > 0, idle)
    _no_gaps(throughput)


def bound(system: System, slo: str, level: LevelName = "critical") -> float:
    """Where this level of an SLO lies, in its base unit. Raises Undeclared when the facts know no such."""
    limit = system.slo[slo].limit(level) if slo in system.slo else None
    return declared(limit, f"where {slo} is {level}").bound


def _assert_values(indicator: Indicator, values: Mapping[str, float]) -> None:
    for level in FAILING:
        limit = indicator.slo.limit(level)
        for replica, value in values.items():
            if limit is not None and limit.holds(value):
                raise Breach(_sentence(indicator, value, replica, level, limit), slo=indicator.name, level=level)
    _no_gaps(indicator)
    for replica, value in values.items():
        if message := _warning(indicator, value, replica):
            warnings.warn(message, SLOWarning, stacklevel=3)
            return


def _warning(indicator: Indicator, value: float, replica: str) -> str:
    warning, objective = indicator.slo.warning, indicator.slo.objective
    if warning is not None and warning.holds(value):
        return _sentence(indicator, value, replica, "warning", warning)
    if objective is not None and not objective.holds(value):
        goal = f"misses its objective {objective.operator} {show(objective.bound, indicator.slo.unit)}"
        return f"{indicator.describe(value, replica)} {goal}{_over(indicator)} (objective; {_cited(objective)})"
    return ""


def _sentence(indicator: Indicator, value: float, replica: str, level: str, limit: Limit) -> str:
    bound = f"{limit.operator} {show(limit.bound, indicator.slo.unit)}"
    return f"{indicator.describe(value, replica)} {bound}{_over(indicator)} ({level}; {_cited(limit)})"


def _no_gaps(indicator: Indicator) -> None:
    if indicator.gaps:
        more = f" (and {len(indicator.gaps) - 1} more)" if len(indicator.gaps) > 1 else ""
        raise Unknown(f"{indicator} holds for what is known, but {indicator.gaps[0]}{more}")


def _over(indicator: Indicator) -> str:
    return f" over {indicator.over}" if indicator.over else ""


def _cited(limit: Limit) -> str:
    source = limit.source if isinstance(limit.source, str) else limit.source[0]
    return source.replace(" / ", ", ")
