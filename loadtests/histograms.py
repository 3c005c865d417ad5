"""Histograms of microseconds whose percentiles are within 0.1% of each value, and stay so when they are merged.

HdrHistogram (Tene); as text they are its own compressed base64 (V2), which its tools for other languages read too.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from hdrh.histogram import HdrHistogram

LONGEST_US = 120_000_000  # what took longer counts as this
DIGITS = 3
_SUB_BITS = 11  # 2048 values a bucket hold three digits
_HALF = 1 << (_SUB_BITS - 1)


def histogram() -> Any:
    """An empty one."""
    return HdrHistogram(1, LONGEST_US, DIGITS)


class Buckets:
    """Counts of one second by HdrHistogram's own index, for the way of a request: the library takes five times as long.

    ``record`` takes microseconds; :meth:`histogram` makes the library's histogram of them.
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def record(self, value: int) -> None:
        """One value, from 0 on; what is over the longest counts as that."""
        value = min(value, LONGEST_US)
        shift = value.bit_length() - _SUB_BITS
        index = value if shift <= 0 else shift * _HALF + (value >> shift)
        counts = self.counts
        counts[index] = counts.get(index, 0) + 1

    def histogram(self) -> Any:
        """As the library would have recorded them."""
        found = histogram()
        if self.counts:
            lowest, highest = min(self.counts), max(self.counts)
            for index, count in self.counts.items():
                found.counts[index] = count
            found.total_count = sum(self.counts.values())
            found.min_value = found.get_value_from_index(lowest)
            found.max_value = found.get_value_from_index(highest)
        return found


def merged(encoded: Iterable[str]) -> Any:
    """One of many."""
    total = histogram()
    for text in encoded:
        total.add(HdrHistogram.decode(text))
    return total


def percentiles_ms(found: Any, quantiles: Sequence[float]) -> list[float | None]:
    """By nearest rank, in milliseconds; None for an empty one.

    HdrHistogram itself rounds the rank (of 12 values P95 were the 11th), and walks over all buckets for each.
    """
    count = found.get_total_count()
    if not count:
        return [None for _ in quantiles]
    upto = list(accumulate(found.counts[: found.get_counts_array_index(found.max_value) + 1]))
    ranks = (max(1, math.ceil(quantile / 100 * count - 1e-9)) for quantile in quantiles)
    places = (found.get_value_from_index(bisect_left(upto, rank)) for rank in ranks)
    return [round(found.get_highest_equivalent_value(value) / 1000, 3) for value in places]
