"""A page of metrics is taken as Prometheus would take it, or it is told what is wrong with it, and where."""

import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from muster.read.exposition import page, samples
from muster.read.failures import ReadError
from muster.read.http import Answer
from muster.snapshot import FailureKind

TEXT = "text/plain; version=0.0.4; charset=utf-8"


def answered(body, kind=TEXT, status=200):
    return Answer(status, body if isinstance(body, bytes) else body.encode(), kind)


def wrong(*arguments, **options):
    with pytest.raises(ReadError) as caught:
        page(answered(*arguments, **options), "http://a/metrics")
    return caught.value.failure


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('up 1\nup{a="b" 2\n', 2),
        ("up 1\n\n<html>\n", 3),
        ("up one\n", 1),
        ("up 1 2 3\n", 1),
        ("1up 1\n", 1),
        ("# TYPE up wrong\nup 1\n", 1),
        ('up{a="b",a="c"} 1\n', 1),
        ("up 0x10\n", 1),
        ("ok 1\nup 1", 2),
    ],
)
def test_a_malformed_page_is_told_with_its_line(text, line):
    """Whatever it is that is wrong: the first line that Prometheus would not take."""
    found = wrong(text)
    assert found.kind is FailureKind.UNPARSEABLE
    assert f"line {line}" in found.message
    assert "http://a/metrics" in found.message


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text/html; charset=utf-8", "says text/html"),
        ("application/json", "says application/json"),
        ("", "no Content-Type"),
    ],
)
def test_another_content_type_is_told_as_exactly_that(kind, said):
    """A login page has no metrics in it, whatever its lines look like."""
    found = wrong("up 1\n", kind)
    assert found.kind is FailureKind.CONTENT_TYPE
    assert said in found.message


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"up 1\nx\xff 1\n", TEXT, "not UTF-8 at line 2"),
        (gzip.compress(b"up 1\n", mtime=0), TEXT, "has no Content-Encoding"),
        (b"up 1\n", "text/plain; charset=utf-16", "charset=utf-16; metrics are UTF-8"),
    ],
)
def test_another_encoding_is_told_as_exactly_that(body, kind, said):
    """Bytes that are no text, packed ones that do not say so, and another character set."""
    found = wrong(body, kind)
    assert found.kind is FailureKind.ENCODING
    assert said in found.message


def test_a_series_that_stands_there_twice_is_refused():
    """Prometheus keeps one of them, and nobody knows which is true."""
    assert 'has up{a="b"} twice' in wrong('up{a="b"} 1\nup{a="c"} 1\nup{a="b"} 2\n').message


def test_an_empty_page_an_error_page_and_a_locked_one_are_told_apart():
    """Nothing on it is not "nothing wrong"."""
    assert wrong("").kind is FailureKind.EMPTY
    assert wrong("# only a comment\n").kind is FailureKind.EMPTY
    assert wrong("up 1\n", status=503).kind is FailureKind.HTTP_STATUS
    assert wrong("up 1\n", status=401).kind is FailureKind.FORBIDDEN


def test_unusual_pages_that_prometheus_takes_are_taken():
    """Comments, blank lines, tabs, times, escapes, a comma at the end: not our own form, and right."""
    text = '# hello\n\n#\nup\t1\na{b="\\"c\\\\",} 2 1700000000\nd   3\ne .5\n# HELP e x\\ny\nf NaN\ng +Inf\n'
    found = page(answered(text), "u")
    assert found.names == ("up", "a", "d", "e", "f", "g")


def test_the_reference_library_s_own_page_is_taken_whole():
    """Every sample with its labels and value."""
    registry = CollectorRegistry()
    Counter("hits", "Hits.", ["path"], registry=registry).labels('/a"b\\c\n').inc(3)
    Histogram("took_seconds", "Time.", buckets=(0.1, 0.5), registry=registry).observe(0.2)
    Gauge("up", "Up.", registry=registry).set(1.5)
    found = page(answered(generate_latest(registry)), "u")
    assert {"hits_total", "took_seconds_bucket", "took_seconds_sum", "took_seconds_count", "up"} <= set(found.names)
    assert ("hits_total", {"path": '/a"b\\c\n'}, 3.0) in list(samples(found, ["hits_total"]))
    assert [value for _, _, value in samples(found, ["took_seconds_bucket"])] == [0.0, 1.0, 1.0]


def test_a_grep_shows_series_and_no_comments():
    """HELP mentions what it likes; a label's value counts."""
    found = page(answered('# HELP a latency\na 1\nb_latency_sum 2\nc{kind="latency"} 3\n'), "u")
    assert found.grep("latency") == ["b_latency_sum", "c"]
    assert found.grep("^a$") == ["a"]


@given(st.binary(max_size=200))
def test_no_garbage_raises_anything_but_a_typed_failure(body):
    """Bytes of any kind."""
    with contextlib.suppress(ReadError):
        page(answered(body), "u")


LINE = st.text(alphabet='abz_:{}="\\, \t019.eE+-#NaInf\x85', max_size=24)


@given(st.lists(LINE, max_size=4))
def test_what_is_taken_the_reference_library_takes_as_the_same_samples(lines):
    """The short cut for plain pages never lets in what the library refuses."""
    text = "".join(f"{line}\n" for line in lines)
    try:
        found = page(answered(text), "u")
    except ReadError:
        return
    theirs = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(theirs) == len(found.series)
    assert [sample.name for sample in theirs] == [series.partition("{")[0].strip() for series in found.series]
