"""Histograms of microseconds whose percentiles are within 0.1% of each value, and stay so when they are merged.

HdrHistogram (Tene); as text they are its own compressed base64 (V2), which its tools for other languages read too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from hdrh.histogram import HdrHistogram

LONGEST_US = 120_000_000  # what took longer counts as this
DIGITS = 3


def histogram() -> Any:
    """An empty one."""
    return HdrHistogram(1, LONGEST_US, DIGITS)


def merged(encoded: Iterable[str]) -> Any:
    """One of many."""
    total = histogram()
    for text in encoded:
        total.add(HdrHistogram.decode(text))
    return total


def percentile_ms(found: Any, quantile: float) -> float | None:
    """By nearest rank, in milliseconds; None for an empty one."""
    count = found.get_total_count()
    if not count:
        return None
    rank = max(
        1, math.ceil(quantile / 100 * count - 1e-9)
    )  # HdrHistogram itself rounds: of 12 values P95 were the 11th
    return round(found.get_value_at_percentile(100 * rank / count) / 1000, 3)
