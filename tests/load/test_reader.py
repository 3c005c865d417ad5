"""The reader of answers against httpx: the same bytes, cut at the same points, valid ones and broken ones."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpcore
import httpx
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from lean.errors import Desync, Malformed, Truncated, WireError
from lean.reader import MAX_FIELDS, MAX_HEAD, MAX_INTERIM, AnswerReader, whole_answer

TRANSPORT = httpx.HTTPTransport()
CLIENT = httpx.Client(transport=TRANSPORT, trust_env=False)


def httpx_reads(pieces, method="GET"):
    """Status and raw body as httpx has them, or None if it refuses. The server closes after the last piece."""
    TRANSPORT._pool = httpcore.ConnectionPool(network_backend=httpcore.MockBackend([*pieces]))
    try:
        with CLIENT.stream(method, "http://hostile/") as response:
            return response.status_code, b"".join(response.iter_raw())
    except httpx.TransportError:
        return None


def ours_reads(pieces, method="GET"):
    """Status and body, or the error; by the fast way, too, where that takes it."""
    bodiless = method == "HEAD"
    try:
        if len(pieces) == 1 and (fast := whole_answer(pieces[0], bodiless)):
            slow = AnswerReader(bodiless=bodiless).feed(pieces[0])
            assert (fast.status, fast.length, fast.reusable) == (slow.status, slow.length, slow.reusable)
        reader = AnswerReader(bodiless=bodiless, keep_body=True)
        answer = None
        for piece in pieces:
            answer = reader.feed(piece)
        answer = answer or reader.closed()
    except WireError as error:
        return error
    assert answer.length == len(answer.body)
    return answer.status, answer.body


@dataclass
class Sent:
    """Bytes of an answer, and what they say."""

    method: str
    data: bytes
    status: int
    body: bytes


TOKENS = st.from_regex(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}", fullmatch=True)
VALUES = st.from_regex(rb"([\x21-\x7e\x80-\xff]([\t \x21-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?", fullmatch=True)
FRAMING_NAMES = (b"content-length", b"transfer-encoding", b"connection", b"upgrade")
FIELDS = st.lists(st.tuples(TOKENS.filter(lambda name: name.lower() not in FRAMING_NAMES), VALUES), max_size=4)
EXTENSIONS = st.sampled_from([b"", b";a", b";a=b", b";a = b", b';a="b;\\"c"', b";a;b=1"])


def fields_bytes(fields):
    return b"".join(b"%s: %s\r\n" % field for field in fields)


@st.composite
def chunked(draw, body):
    data, at = b"", 0
    while at < len(body):
        size = draw(st.integers(1, len(body) - at))
        digits = draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % size
        data += digits + draw(EXTENSIONS) + b"\r\n" + body[at : at + size] + b"\r\n"
        at += size
    return data + b"0" + draw(EXTENSIONS) + b"\r\n" + fields_bytes(draw(FIELDS)) + b"\r\n"


@st.composite
def sent_answers(draw):
    """Valid answers of every kind of framing."""
    method = draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]))
    status = draw(st.sampled_from([200, 200, 200, 201, 204, 206, 301, 304, 404, 429, 500, 503, 599]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"]))
    body = draw(st.binary(max_size=60) | st.just(b"HTTP/1.1 200 OK\r\n\r\n"))
    kind = draw(st.sampled_from(["length", "length", "chunked", "close"]))
    fields = draw(FIELDS)
    if connection := draw(st.sampled_from([b"", b"close", b"keep-alive", b"Keep-Alive, x"])):
        fields.append((b"Connection", connection))
    payload = body
    if kind == "chunked" and version == b"1.1":
        payload = draw(chunked(body))
        fields.insert(0, (draw(st.sampled_from([b"Transfer-Encoding", b"transfer-encoding"])), b"Chunked"))
    elif kind == "length":
        fields.append((draw(st.sampled_from([b"Content-Length", b"CONTENT-LENGTH"])), b"%d" % len(body)))
    if method == "HEAD" or status in (204, 304):
        body = payload = b""
    interim = b"".join(
        b"HTTP/1.1 %d x\r\n%s\r\n" % (number, fields_bytes(draw(FIELDS)))
        for number in draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))
    )
    reason = draw(st.sampled_from([b"", b"OK", b"Not so fine \xe9"]))
    head = b"HTTP/%s %d %s\r\n%s\r\n" % (version, status, reason, fields_bytes(fields))
    return Sent(method, interim + head + payload, status, body)


def cut(data, points):
    """The data in pieces, none of them empty."""
    at = sorted({point % len(data) for point in points} - {0}) if data else []
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)] if data else []


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@settings(max_examples=200)
@given(sent_answers(), CUTS)
def test_valid_answers_are_read_as_sent_and_as_httpx_reads_them(sent, points):
    """Status and body are the sent ones, for every framing, wherever the network cuts."""
    pieces = cut(sent.data, points)
    assert ours_reads(pieces, sent.method) == (sent.status, sent.body) == httpx_reads(pieces, sent.method)


STRICTER = re.compile(
    r"no HTTP/1.1 status line|is folded|bare line feed|cannot be read|more than one|both Content-Length|"
    r"only chunked was offered|HTTP/1.0 does not know|no chunk size|trailers|101 Switching|"
    r"after its answer"
)


@st.composite
def broken_answers(draw):
    """Valid answers with up to three bytes dropped, put in, changed or repeated, mostly near the framing."""
    sent = draw(sent_answers())
    data = bytearray(sent.data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        what = draw(st.sampled_from(["drop", "insert", "change", "cut", "append", "repeat line"]))
        byte = draw(st.sampled_from(list(b"\r\n \t:;,0159afx\x00\x7f\xff")))
        if what == "drop":
            del data[at : at + 1]
        elif what == "insert":
            data.insert(at, byte)
        elif what == "change" and data:
            data[at] = byte
        elif what == "cut":
            del data[at:]
        elif what == "append":
            data += draw(st.binary(min_size=1, max_size=5))
        else:
            lines = bytes(data).split(b"\r\n")
            line = draw(st.integers(0, len(lines) - 1))
            data = bytearray(b"\r\n".join([*lines[:line], lines[line], *lines[line:]]))
    return Sent(sent.method, bytes(data), 0, b"")


@settings(max_examples=400, derandomize=True)  # the same ones for everybody; more by hand
@given(broken_answers(), CUTS)
@example(Sent("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0, b""), [])
@example(Sent("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 0, b""), [])
def test_nothing_is_accepted_that_httpx_refuses(sent, points):
    """A broken answer is an error if it is one for httpx, else it is read alike or refused for a written reason."""
    assume(not re.search(rb"[\t ];", sent.data))  # RFC 9112, 7.1.1: must be parsed; httpx refuses it
    pieces = cut(sent.data, points)
    theirs, ours = httpx_reads(pieces, sent.method), ours_reads(pieces, sent.method)
    if isinstance(ours, WireError):
        assert theirs is None or STRICTER.search(str(ours)), (theirs, ours)
        assert "\n" not in str(ours)
    else:
        assert ours == theirs


OK = b"HTTP/1.1 200 OK\r\n"
REFUSED_HERE_ONLY = {
    "a missing space after the status": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "no HTTP/1.1 status line"),
    "bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "no HTTP/1.1 status line"),
    "a folded field": (OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n", "is folded"),
    "a control character": (OK + b"A: b\x01c\r\nContent-Length: 0\r\n\r\n", "cannot be read"),
    "equal lengths": (OK + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", "more than one Content-Length"),
    "a list of equal lengths": (OK + b"Content-Length: 0, 0\r\n\r\n", "which is no length"),
    "both framings": (
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "both Content-Length and Transfer-Encoding",
    ),
    "padded chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", "no chunk size"),
    "broken extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;=\r\na\r\n0\r\n\r\n", "no chunk size"),
    "framing in trailers": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n",
        "speak of its framing",
    ),
    "bare LF after trailers": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\n",
        "a trailer ends in a bare line feed",
    ),
    "bytes after the answer": (OK + b"Content-Length: 1\r\n\r\nab", "bytes after its answer"),
    "a second answer": (2 * (OK + b"Content-Length: 0\r\n\r\n"), "bytes after its answer"),
    "too many fields": (OK + b"A: b\r\n" * (MAX_FIELDS + 1) + b"Content-Length: 0\r\n\r\n", "more than 256 header"),
    "a head too long": (OK + b"A: " + b"b" * MAX_HEAD + b"\r\nContent-Length: 0\r\n\r\n", "longer than 65536"),
    "too many interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1) + OK + b"Content-Length: 0\r\n\r\n",
        "more than 16 interim",
    ),
}


@pytest.mark.parametrize("what", REFUSED_HERE_ONLY)
def test_what_httpx_takes_and_this_reader_does_not(what):
    """Each leniency that is refused on purpose is really one of httpx's, and the sentence names it."""
    data, words = REFUSED_HERE_ONLY[what]
    assert httpx_reads([data]) is not None
    with pytest.raises((Malformed, Desync), match=re.escape(words)):
        AnswerReader().feed(data)


REFUSED = {
    "nonsense": (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP/1.1 status line"),
    "HTTP/2": (b"HTTP/2 200 OK\r\n\r\n", "no HTTP/1.1 status line"),
    "status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", "no HTTP/1.1 status line"),
    "status 099": (b"HTTP/1.1 099 OK\r\n\r\n", "no HTTP/1.1 status line"),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "no upgrade was offered"),
    "space before the colon": (OK + b"Content-Length : 0\r\n\r\n", "cannot be read"),
    "no colon": (OK + b"nonsense\r\n\r\n", "cannot be read"),
    "NUL": (OK + b"A: \x00\r\n\r\n", "cannot be read"),
    "contradicting lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", "more than one"),
    "negative length": (OK + b"Content-Length: -1\r\n\r\n", "no length"),
    "signed length": (OK + b"Content-Length: +1\r\n\r\na", "no length"),
    "empty length": (OK + b"Content-Length:\r\n\r\n", "no length"),
    "huge length": (OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", "no length"),
    "gzip": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "only chunked"),
    "chunked twice": (OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n", "more than one Transfer-Encoding"),
    "chunked in HTTP/1.0": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0"),
    "no chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "no chunk size"),
    "negative chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", "no chunk size"),
    "chunk longer than said": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "longer than its size"),
    "chunk line without end": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 5000, "longer than 4096"),
    "chunk line with bare LF": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\na", "bare line feed"),
    "trailers broken": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n", "trailers cannot be read"),
    "head without end": (OK + b"A: b\r\n" * 20_000, "longer than 65536"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("piecewise", [False, True])
def test_malformed_answers_are_refused(what, piecewise):
    """One sentence says what is wrong, whether the bytes come at once or one by one."""
    data, words = REFUSED[what]
    reader = AnswerReader()
    size = max(1, len(data) // 200) if piecewise else len(data)
    with pytest.raises(Malformed, match=re.escape(words)):
        any(reader.feed(data[at : at + size]) for at in range(0, len(data), size))


@settings(max_examples=200)
@given(sent_answers(), st.integers(0, 10_000))
def test_an_answer_cut_short_is_truncated(sent, at):
    """Every proper beginning of an answer is an error when the server closes, but a body that only closing ends."""
    reader = AnswerReader(bodiless=sent.method == "HEAD", keep_body=True)
    beginning = sent.data[: at % len(sent.data)]
    if reader.feed(beginning) is None:
        try:
            answer = reader.closed()
        except Truncated:
            return
        assert not answer.reusable
        assert sent.body.startswith(answer.body)
    else:
        raise AssertionError("complete before its end")


def test_white_space_around_chunk_extensions_is_read():
    """RFC 9112, 7.1.1: bad white space there must be parsed (httpx refuses it)."""
    answer = AnswerReader(keep_body=True).feed(OK + b"Transfer-Encoding: chunked\r\n\r\n1 ; a = b\r\nx\r\n0\r\n\r\n")
    assert answer.body == b"x"


def test_the_body_is_counted_and_not_kept():
    """A large body costs no memory: only its length is known afterwards."""
    reader = AnswerReader()
    assert reader.feed(OK + b"Content-Length: 100000000\r\n\r\n") is None
    for _ in range(999):
        assert reader.feed(bytes(100_000)) is None
    answer = reader.feed(bytes(100_000))
    assert (answer.length, answer.body) == (100_000_000, None)


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x\r\nconnection: keep-alive, close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", True),
    ],
)
def test_who_keeps_the_connection(head, reusable):
    """HTTP/1.1 keeps it unless told otherwise, HTTP/1.0 only when told so."""
    assert whole_answer(head).reusable is reusable
    assert AnswerReader().feed(head).reusable is reusable
