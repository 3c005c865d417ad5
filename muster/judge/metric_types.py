"""Whether each query asks of a metric what a metric of its type can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.system.model import System

_CALL = re.compile(r"\b(rate|irate|increase|delta|idelta|deriv|predict_linear)\s*\(\s*([A-Za-z_:][A-Za-z0-9_:]*)")
_OF_COUNTERS = frozenset({"rate", "irate", "increase"})  # Prometheus' documentation of each: counters, else gauges
_MONOTONIC = frozenset({"counter", "histogram", "summary", "gaugehistogram"})
_UNTYPED = frozenset({"unknown", "untyped"})


def assert_types_fit(metric_types: Mapping[str, Sequence[str]], system: System) -> None:
    """Rates are taken of counters (and of what histograms count), differences of gauges.

    A metric that no target declares a type for is UNKNOWN: nothing in a series says whether it may fall.
    """
    silent = []
    for slo, function, metric in functions(system):
        if metric not in metric_types:
            raise Unknown(f"nobody asked for the type of {metric}")
        types = set(metric_types[metric]) - _UNTYPED
        if not types:
            silent.append(metric)
        for kind in sorted(types):
            counts = function in _OF_COUNTERS
            claim(
                (kind in _MONOTONIC) == counts,
                f"{slo} takes {function}() of {metric}, which is declared a {kind}: "
                f"{function}() is for {'counters' if counts else 'gauges'}, the number means nothing",
            )
    if silent:
        raise Unknown(
            f"no target declares the type of {silent[0]}, so whether a rate of it means anything is not known"
        )


def functions(system: System) -> Iterator[tuple[str, str, str]]:
    """Each function over a range in the facts' queries: SLO, function, metric."""
    for name, slo in system.slo.items():
        for text in (slo.query, slo.per_replica):
            for function, metric in _CALL.findall(text):
                yield name, function, metric
