"""Whether an alert of the runbooks can fire: its series exist, and its threshold is in their unit and can be told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.ruleset import ALERTING, RECORDING, Rule
from muster.judge.undeclared import declared
from muster.system.model import LEVELS, Slo, System
from muster.system.promql import CANARY, RELEASE
from muster.system.selectors import Selector, selectors, thresholds
from muster.system.units import Unit, show

# Ends of metrics' names that are not in the base unit of an indicator: a threshold in that unit never meets them.
_FOREIGN = {
    Unit.SECONDS: re.compile(r"_(?:milliseconds|millis|ms|microseconds|minutes)(?:_bucket|_sum|_count|_total)?$"),
    Unit.BYTES: re.compile(r"_(?:kilobytes|kb|kib|megabytes|mb|mib|gigabytes|gb|gib)(?:_total)?$", re.IGNORECASE),
    Unit.RATIO: re.compile(r"_(?:percent|percentage|pct)$"),
}
_CONVERTED = re.compile(r"[*/]\s*(?:[0-9]|0\.)")
# What a threshold is off by when it was written in another unit, and what it then was taken for.
_SLIPS = {
    Unit.SECONDS: {1e3: "milliseconds", 1e6: "microseconds", 1 / 60: "minutes"},
    Unit.RATIO: {100.0: "percent"},
    Unit.BYTES: {1e-3: "kilobytes", 1e-6: "megabytes", 1e-9: "gigabytes", 2**-20: "MiB", 2**-30: "GiB"},
    Unit.PER_SECOND: {60.0: "per minute"},
}


def assert_can_fire(
    alert: str,
    rules: tuple[Rule, ...],
    rule_series: Mapping[str, int],
    buckets: Mapping[str, Sequence[float]],
    system: System,
) -> None:
    """This alert is a rule in force that Prometheus evaluates, on series that exist, against a number in their unit."""
    ours = [rule for rule in rules if rule.kind == ALERTING and rule.name == alert]
    claim(bool(ours), f"Prometheus has no rule {alert}: it can never fire")
    recorded = {rule.name: rule.query for rule in rules if rule.kind == RECORDING}
    for rule in ours:
        claim(rule.health != "err", f"{alert} can never fire: the rule cannot be evaluated: {rule.last_error}")
        if rule.labels.get(RELEASE) != CANARY:  # a canary has no series while nothing is tried, and needs none
            _assert_series_exist(rule, recorded, rule_series, system)
        if alert in system.alerts:
            _assert_unit_fits(rule, recorded, system)
            _assert_value_can_be_reached(alert, buckets, system)
    for rule in ours:
        if rule.health != "ok":
            raise Unknown(f"rule {alert} has not been evaluated yet")


def assert_buckets_tell_every_threshold(buckets: Mapping[str, Sequence[float]], system: System) -> None:
    """Every limit of a quantile's ladder is a bound of its histogram: between two bounds a quantile is only a guess."""
    quantiles = dict(_quantiles(system))
    declared(quantiles or None, "any quantile")
    for name, slo in quantiles.items():
        for series in slo.series:
            bounds = _bounds(buckets, series)
            for level in LEVELS:
                limit = slo.limit(level)
                if limit is None or any(_same(bound, limit.bound) for bound in bounds):
                    continue
                near = [show(bound, slo.unit) for bound in _around(limit.bound, bounds)]
                claim(
                    holds=False,
                    otherwise=f"{name} {limit.operator} {show(limit.bound, slo.unit)} ({level}) cannot be told: "
                    f"{series} has no bucket that ends there (nearest: {', '.join(near)})",
                )


def _assert_series_exist(
    rule: Rule, recorded: Mapping[str, str], rule_series: Mapping[str, int], system: System
) -> None:
    if rule.query.startswith("absent("):
        return  # it fires because its series is absent
    for selector in selectors(rule.query):
        if _number(selector, rule_series):
            continue
        below = [one for one in selectors(recorded.get(selector.name, "")) if not _number(one, rule_series)]
        why = f" (recorded from {', '.join(map(str, below))}, which finds none either)" if below else ""
        claim(holds=False, otherwise=f"{rule.name} can never fire: no series matches {selector}{why}")
    for selector in selectors(rule.query):
        # The recorded value may exist all the same: it may read an absence as 0.
        own = selectors(recorded.get(selector.name, ""))
        for name in system.slo[system.alerts[rule.name].slo].series if rule.name in system.alerts else ():
            read = [one for one in own if one.name == name]
            there = not read or any(_number(one, rule_series) for one in read)
            claim(there, f"{rule.name} can never fire: no series matches {', '.join(map(str, read))}")


def _number(selector: Selector, rule_series: Mapping[str, int]) -> int:
    if str(selector) not in rule_series:
        raise Unknown(f"nobody counted the series of {selector}")
    return rule_series[str(selector)]


def _assert_unit_fits(rule: Rule, recorded: Mapping[str, str], system: System) -> None:
    slo, bound = system.slo[system.alerts[rule.name].slo], system.limit_of(rule.name).bound
    numbers = thresholds(rule.query)
    if not any(_same(number, bound) for number in numbers):
        said = ", ".join(f"{number:g}" for number in numbers) or "nothing"
        slip = next((taken for number in numbers for taken in _taken_for(number, bound, slo.unit)), "")
        why = f": that is {slip}, and the series is in {slo.unit.value.replace('_', ' ')}" if slip else ""
        wanted = f"the facts say {bound:g} ({show(bound, slo.unit)})"
        claim(holds=False, otherwise=f"{rule.name} compares with {said}, {wanted}{why}")
    foreign = _FOREIGN.get(slo.unit)
    for query in [rule.query, *(recorded.get(selector.name, "") for selector in selectors(rule.query))]:
        for selector in selectors(query):
            clash = foreign is not None and foreign.search(selector.name) and not _CONVERTED.search(query)
            otherwise = f"{rule.name} compares {selector.name} with {bound:g} {slo.unit.value}: they are in other units"
            claim(not clash, otherwise)


def _taken_for(number: float, bound: float, unit: Unit) -> Iterator[str]:
    for factor, taken in _SLIPS.get(unit, {}).items():
        if bound and _same(number / bound, factor):
            yield taken


def _assert_value_can_be_reached(alert: str, buckets: Mapping[str, Sequence[float]], system: System) -> None:
    """A quantile never reads more than the last bound of its histogram."""
    slo, limit = system.slo[system.alerts[alert].slo], system.limit_of(alert)
    if "histogram_quantile" not in slo.query or limit.above is None:
        return
    for series in slo.series:
        last = max(_bounds(buckets, series))
        never = f"{alert} can never fire: {series} ends at {show(last, slo.unit)}, its quantile never reads more"
        claim(last > limit.bound, f"{never} (limit {show(limit.bound, slo.unit)})")


def _quantiles(system: System) -> Iterator[tuple[str, Slo]]:
    return ((name, slo) for name, slo in system.slo.items() if "histogram_quantile" in slo.query)


def _bounds(buckets: Mapping[str, Sequence[float]], series: str) -> Sequence[float]:
    if not buckets.get(series):
        raise Unknown(f"Prometheus has no bucket of {series}")
    return buckets[series]


def _around(value: float, bounds: Sequence[float]) -> list[float]:
    below = [bound for bound in bounds if bound < value]
    above = [bound for bound in bounds if bound > value]
    return [*below[-1:], *above[:1]]


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(abs(one), abs(other))
