"""Parts of several processes become one line without loss."""

from __future__ import annotations

import io
import json
import math

import pytest
from gather import Lines, merge
from histograms import LONGEST_US, Buckets, histogram
from hypothesis import given
from hypothesis import strategies as st

times_us = st.lists(st.integers(1, 10_000_000), min_size=1, max_size=60)


def part(at, latencies_us, **more):
    found = histogram()
    for value in latencies_us:
        found.record_value(value)
    text = found.encode().decode()
    told = {"requests": len(latencies_us), "errors": 0, "kinds": {}, "latency": text, "service": text}
    base = dict.fromkeys(
        ("offered", "sent", "late", "dropped", "held", "held_dropped", "waiting", "users", "exhausted"), 0
    )
    measured = {"cpu": 0.1, "machine": 0.5, "lag_ms": 1.0, "stalled_ms": 0.0}
    return {"at": at, **base, **measured, "endpoints": {"GET /a": told}, **more}


@given(times_us, times_us)
def test_percentiles_of_merged_processes_are_those_of_all_their_requests(one, other):
    """P50, P95 and P99 of two processes together are within 0.1% of the exact ones of all values."""
    line, _, _ = merge(100, [part(100, one), part(100, other)], 2)
    values = sorted(one + other)
    assert line["requests"] == len(values)
    for quantile in (50, 95, 99):
        exact = values[math.ceil(quantile * len(values) / 100) - 1] / 1000
        assert line[f"p{quantile}_ms"] == pytest.approx(exact, rel=0.0011, abs=0.0011)


@given(st.lists(st.integers(0, 2 * LONGEST_US) | st.integers(0, 5000), max_size=60))
def test_quick_counting_is_the_librarys_own(values):
    """What the way of a request counts is, bucket for bucket and as text, what HdrHistogram would have recorded."""
    buckets, whole = Buckets(), histogram()
    for value in values:
        buckets.record(value)
        whole.record_value(min(value, LONGEST_US))
    found = buckets.histogram()
    assert found.encode() == whole.encode()
    assert list(found.counts) == list(whole.counts)
    assert found.get_total_count() == len(values)
    assert found.get_max_value() == pytest.approx(whole.get_max_value(), rel=0.001)


def test_a_line_is_written_when_every_process_has_told():
    """It waits for the second worker, then for nobody."""
    file = io.StringIO()
    lines = Lines(file, workers=2)
    now = 4_000_000_000  # far in the future: nothing is too old to wait for
    lines.add("a", part(now, [1000], cpu=0.4))
    lines.write()
    assert file.getvalue() == ""
    lines.add("b", part(now, [3000], cpu=0.9))
    lines.write()
    line = json.loads(file.getvalue())
    assert (line["requests"], line["reports"], line["workers"], line["cpu"]) == (2, 2, 2, 0.9)


def test_a_process_that_stays_silent_is_missing_in_the_line():
    """After the hold time the line is written without it, and says so; what it tells later changes nothing."""
    file = io.StringIO()
    lines = Lines(file, workers=2)
    lines.add("a", part(1000, [1000]))
    lines.write()
    lines.add("b", part(1000, [1000]))
    lines.write(everything=True)
    (line,) = map(json.loads, file.getvalue().splitlines())
    assert (line["reports"], line["workers"]) == (1, 2)


def test_a_process_that_has_sent_its_share_is_not_lost():
    """One ends a second before the other: the line of the last second waits for nobody, and nobody is missing."""
    file = io.StringIO()
    lines = Lines(file, workers=2)
    now = 4_000_000_000
    for at, process in ((now, "a"), (now, "b"), (now + 1, "b")):
        lines.add(process, part(at, [1000]))
    lines.end("a")
    lines.write()
    told = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [(line["reports"], line["requests"]) for line in told] == [(2, 2), (2, 1)]


def test_errors_of_one_kind_are_counted_together():
    """The same sentence from two processes is one kind."""
    told = [part(1, [5]), part(1, [6])]
    for each in told:
        each["endpoints"]["GET /a"] |= {"errors": 1, "kinds": {"AnswerTimeout: x": 1}}
    line, _, _ = merge(1, told, 2)
    assert line["errors"] == 2
    assert line["endpoints"]["GET /a"]["kinds"] == {"AnswerTimeout: x": 2}
