"""Indicators where no Prometheus is: from two looks at every replica's ``/metrics``, a few seconds apart.

The same value as :func:`muster.read.prometheus.read_slo` gives, over a window as long as the looks are apart; how an
indicator is made of the raw series is said in the facts (``slo.*.scrape``).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from muster.read.exposition import samples
from muster.read.failures import ReadError
from muster.read.metrics import Look, two_looks
from muster.snapshot import FailureKind
from muster.system.expectations import Scrape
from muster.system.model import Slo
from muster.system.selectors import Selector, selectors

if TYPE_CHECKING:
    from muster.read.session import Session

Labels = tuple[tuple[str, str], ...]
METHOD = "from two scrapes of /metrics"


async def read_slo(session: Session, pods: list[dict[str, Any]], slo: Slo) -> dict[str, Any]:
    """One indicator: ``{"value", "per_replica": {pod: value}, "window_s", "gaps": [sentence], "method"}``.

    A replica that could not be read, lacks the series or had no traffic is a gap. Raises ReadError: undeclared (it
    cannot be told from ``/metrics``), empty (no replica shows it, or no traffic at all).
    """
    label = f"{session.system.name}/{session.environment.name}"
    if slo.scrape is None:
        message = f"{label} declares no Prometheus, and {slo.title!r} is not told by /metrics alone"
        raise ReadError(FailureKind.UNDECLARED, message)
    looks = await two_looks(session, pods)
    known = {pod: pair for pod, pair in looks.items() if isinstance(pair, tuple)}
    gaps = [f"{pod}: {found['failure']['message']}" for pod, found in looks.items() if pod not in known]
    per_replica: dict[str, float] = {}
    parts: list[Parts] = []
    for pod, (first, second) in known.items():
        try:
            part = Parts.between(slo.scrape, first, second)
        except LookupError as missing:
            gaps.append(f"{pod} has no {missing.args[0]}")
            continue
        value = part.value(slo.scrape)
        parts.append(part)
        if math.isfinite(value):
            per_replica[pod] = value
        else:
            gaps.append(f"no traffic to {pod} in {part.seconds:.1f} s")
    if not parts:
        raise ReadError(FailureKind.EMPTY, "; ".join(gaps))
    whole = _across(slo.scrape, parts, per_replica)
    if not math.isfinite(whole):
        raise ReadError(FailureKind.EMPTY, f"no traffic in {max(part.seconds for part in parts):.1f} s")
    window_s = round(max(part.seconds for part in parts), 1) if slo.scrape.shape != "gauge" else None
    method = METHOD if window_s is not None else "from /metrics"
    return {"value": whole, "per_replica": per_replica, "window_s": window_s, "gaps": gaps, "method": method}


class Parts:
    """What one replica, or all of them together, did between two looks; parts of replicas can be added."""

    def __init__(self, seconds: float, amount: float, whole: float, buckets: Mapping[float, float]) -> None:
        self.seconds, self.amount, self.whole, self.buckets = seconds, amount, whole, dict(buckets)

    @classmethod
    def between(cls, scrape: Scrape, first: Look, second: Look) -> Parts:
        """Raises LookupError with the name of a series that a page lacks."""
        seconds = second.at - first.at
        (selector,) = selectors(scrape.series)
        if scrape.shape == "gauge":
            return cls(seconds, sum(_values(second, selector).values()), 0.0, {})
        if scrape.shape == "quantile":
            return cls(seconds, 0.0, 0.0, _bucket_increases(first, second, selector))
        whole = sum(increases(first, second, selectors(scrape.of)[0]).values()) if scrape.of else 0.0
        # No failure was ever counted: no series of it, and that is none. What it is a share of must be there.
        counted = increases(first, second, selector, absent_is_none=bool(scrape.of))
        return cls(seconds, sum(counted.values()), whole, {})

    def __add__(self, other: Parts) -> Parts:
        bounds = self.buckets.keys() | other.buckets.keys()
        buckets = {bound: self.buckets.get(bound, 0.0) + other.buckets.get(bound, 0.0) for bound in bounds}
        seconds = max(self.seconds, other.seconds)
        return Parts(seconds, self.amount + other.amount, self.whole + other.whole, buckets)

    def value(self, scrape: Scrape) -> float:
        """NaN where there was nothing to take a share or a quantile of."""
        match scrape.shape:
            case "gauge" | "increase":
                return self.amount
            case "rate":
                return self.amount / self.seconds
            case "ratio":
                return self.amount / self.whole if self.whole else math.nan
            case "quantile":
                return quantile(scrape.quantile, self.buckets)


def increases(first: Look, second: Look, selector: Selector, *, absent_is_none: bool = False) -> dict[Labels, float]:
    """How much each counter grew; one that fell was reset and grew from 0, one that is new appeared at 0."""
    before, after = (
        _values(first, selector, absent_is_none=True),
        _values(second, selector, absent_is_none=absent_is_none),
    )
    return {
        labels: value - before[labels] if value >= before.get(labels, 0.0) and labels in before else value
        for labels, value in after.items()
    }


def quantile(share: float, buckets: Mapping[float, float]) -> float:
    """The quantile of a histogram's cumulative buckets, as Prometheus interpolates it; NaN without observations."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if not total or bounds[-1] != math.inf:
        return math.nan
    rank = share * total
    below, lower = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if bound == math.inf:
                return lower  # nothing is known beyond the last bound
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((rank - below) / inside if inside else 1.0)
        below, lower = buckets[bound], bound
    return math.nan


def _bucket_increases(first: Look, second: Look, selector: Selector) -> dict[float, float]:
    found: dict[float, float] = defaultdict(float)
    for labels, value in increases(first, second, selector).items():
        found[float(dict(labels)["le"])] += value
    return found


def _values(look: Look, selector: Selector, *, absent_is_none: bool = False) -> dict[Labels, float]:
    found = {
        tuple(sorted(labels.items())): value
        for _, labels, value in samples(look.page, (selector.name,))
        if selector.matches(labels)
    }
    if not found and not absent_is_none:
        raise LookupError(str(selector))
    return found


def _across(scrape: Scrape, parts: Iterable[Parts], per_replica: Mapping[str, float]) -> float:
    if scrape.across == "max":
        return max(per_replica.values(), default=math.nan)
    whole, *others = parts
    for other in others:
        whole += other
    return whole.value(scrape)
