"""The text that ``/metrics`` serves, taken strictly: what Prometheus would not take is a typed failure with its line.

The library that Prometheus' own Python client parses with is the judge. A page in which every line is in the plain form
needs no judge: that form is a part of what the library takes, and is recognised several times as fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from muster.read.failures import ReadError
from muster.read.http import Answer
from muster.snapshot import FailureKind

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|Inf|inf)|NaN|nan"
_TYPES = "counter|gauge|histogram|summary|untyped"
_PLAIN = re.compile(
    rf"(?:(?:{_NAME}(?:\{{{_LABEL}(?:,{_LABEL})*\}})? (?:{_NUMBER})(?: [0-9]+)?"
    rf"|# HELP {_NAME} [^\\\n]*|# TYPE {_NAME} (?:{_TYPES})|)\n)*"
)
_SERIES = re.compile(rf"^[ \t]*({_NAME}(?:[ \t]*\{{[^\n]*\}})?)(?=[ \t])", re.MULTILINE)
_LABEL_TWICE = re.compile(r'^[^#\n]*[{,]([a-zA-Z_][a-zA-Z0-9_]*)="[^\n]*,\1="[^\n]*$', re.MULTILINE)
_FIELDS = re.compile(rf"\s*{_NAME}\s*(?:\{{.*\}})?\s*\S+(?:\s+-?[0-9]+)?\s*")
ACCEPT = "text/plain;version=0.0.4"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Page:
    """One page: its text, and its series (name and labels, without value) in their order."""

    text: str
    series: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the samples, each once."""
        return tuple(dict.fromkeys(series.partition("{")[0] for series in self.series))

    def grep(self, pattern: str) -> list[str]:
        """The names of what ``grep PATTERN`` shows of the series, each once; comments and values do not count."""
        found = re.compile(pattern)
        return list(dict.fromkeys(series.partition("{")[0] for series in self.series if found.search(series)))


def page(answer: Answer, url: str) -> Page:
    """The page in an answer. Raises ReadError: http_status, forbidden, content_type, encoding, unparseable, empty."""
    if answer.status != 200:
        kind = FailureKind.FORBIDDEN if answer.status in {401, 403} else FailureKind.HTTP_STATUS
        raise ReadError(kind, f"{url} answered {answer.status}")
    text = _decoded(answer, url)
    if not _PLAIN.fullmatch(text) or _LABEL_TWICE.search(text):
        _judge(text, url)
    series = tuple(_SERIES.findall(text))
    if not series:
        raise ReadError(FailureKind.EMPTY, f"{url} has no sample")
    if len(set(series)) != len(series):
        # Prometheus keeps one of them, and nobody knows which is true.
        twice = next(one for index, one in enumerate(series) if one in series[:index])
        raise ReadError(FailureKind.UNPARSEABLE, f"{url} has {twice} twice")
    return Page(text, series)


def samples(page: Page, names: Iterable[str]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each sample with one of these names."""
    from prometheus_client.parser import text_string_to_metric_families

    wanted = tuple(f"{name}{end}" for name in names for end in "{ ")
    lines = "".join(f"{line}\n" for line in page.text.splitlines() if line.startswith(wanted))
    for family in text_string_to_metric_families(lines):
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)


def _decoded(answer: Answer, url: str) -> str:
    kind, _, parameters = answer.content_type.partition(";")
    if kind.strip().lower() != "text/plain":
        said = answer.content_type or "no Content-Type"
        raise ReadError(FailureKind.CONTENT_TYPE, f"{url} says {said}, not text/plain: it is no page of metrics")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise ReadError(FailureKind.ENCODING, f"{url} says charset={charset[1]}; metrics are UTF-8")
    if answer.body.startswith(GZIP_MAGIC):
        raise ReadError(FailureKind.ENCODING, f"{url} is gzip, and has no Content-Encoding that says so")
    try:
        return answer.body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = answer.body.count(b"\n", 0, error.start) + 1
        raise ReadError(FailureKind.ENCODING, f"{url}: not UTF-8 at line {line}, byte {error.start}") from None


def _judge(text: str, url: str) -> None:
    """Find the first line that the library does not take; raise nothing when it takes all of them."""
    lines = text.split("\n")
    if lines[-1]:
        message = f"{url}: it breaks off at line {len(lines)}, without a line end"
        raise ReadError(FailureKind.UNPARSEABLE, message)
    for number, line in enumerate(lines, 1):
        plain = _PLAIN.fullmatch(f"{line}\n") and not _LABEL_TWICE.search(line)
        if not plain and (reason := _refused(line)):
            raise ReadError(FailureKind.UNPARSEABLE, f"{url}: not a metric at line {number}: {reason}")


def _refused(line: str) -> str:
    from prometheus_client.parser import text_string_to_metric_families

    if line.startswith("#") and line.split()[1:2] not in (["HELP"], ["TYPE"]):
        return ""  # a comment
    try:
        found = [sample for family in text_string_to_metric_families(f"{line}\n") for sample in family.samples]
    except Exception as error:  # noqa: BLE001 - the library meets garbage with whatever its code runs into
        return " ".join(str(error).split())[:120] or type(error).__name__
    if line.startswith("#") or not line.strip():
        return ""
    return "" if len(found) == 1 and _FIELDS.fullmatch(line) else "more than a name, a value and a time"
