"""Requests as bytes: what is in them, and what never gets in."""

from __future__ import annotations

import errno

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lean.errors import ConnectFailed, ConnectTimeout, GeneratorExhausted, RequestRefused
from lean.request import Prepared
from lean.trouble import connecting_failed


def prepare(method="GET", path="/", **more):
    return Prepared.make(method, path, host="system:8080", **more)


def test_a_request_is_its_bytes():
    """Request line, host, length and body, as a server reads them."""
    prepared = prepare("POST", "/messages?to=all", json={"text": "hé"}, headers={"X-Trace": "1", "user-agent": "other"})
    server = h11.Connection(h11.SERVER)
    server.receive_data(prepared.data)
    request, data, end = (server.next_event() for _ in range(3))
    fields = dict(request.headers)
    assert (request.method, request.target, request.http_version) == (b"POST", b"/messages?to=all", b"1.1")
    assert fields[b"host"] == b"system:8080"
    assert (fields[b"user-agent"], fields[b"x-trace"]) == (b"other", b"1")
    assert fields[b"content-type"] == b"application/json"
    assert int(fields[b"content-length"]) == len(data.data)
    assert data.data == b'{"text":"h\\u00e9"}'
    assert isinstance(end, h11.EndOfMessage)


@pytest.mark.parametrize(
    ("method", "resendable", "bodiless", "length"),
    [
        ("GET", True, False, False),
        ("HEAD", True, True, False),
        ("PUT", True, False, True),
        ("DELETE", True, False, True),
        ("POST", False, False, True),
        ("PATCH", False, False, True),
    ],
)
def test_what_a_method_means(method, resendable, bodiless, length):
    """Idempotent methods may be sent again, HEAD has no answer's body, what may have a body says how long it is."""
    prepared = prepare(method)
    assert (prepared.resendable, prepared.bodiless) == (resendable, bodiless)
    assert (b"Content-Length: 0" in prepared.data) is length


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "GET /admin"}, "is not a method"),
        ({"method": "CONNECT"}, "is not a method"),
        ({"path": "ping"}, "is not a path"),
        ({"path": "/a b"}, "is not a path"),
        ({"path": "/a\r\nX: y"}, "is not a path"),
        ({"path": "/#part"}, "is not a path"),
        ({"path": "/é"}, "is not a path"),
        ({"headers": {"X": "a\r\nY: b"}}, "the value of X"),
        ({"headers": {"X": "a\n"}}, "the value of X"),
        ({"headers": {"X": "\x00"}}, "the value of X"),
        ({"headers": {"X": "\u20ac"}}, "the value of X"),
        ({"headers": {"X": " padded"}}, "the value of X"),
        ({"headers": {"X: a\r\nY": "b"}}, "is not a header's name"),
        ({"headers": {"": "b"}}, "is not a header's name"),
        ({"headers": {"content-length": "5"}}, "set by the client itself"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "set by the client itself"),
        ({"headers": {"Connection": "close"}}, "set by the client itself"),
        ({"headers": {"Expect": "100-continue"}}, "set by the client itself"),
        ({"body": b"a", "json": {}}, "has two bodies"),
        ({"expect": set()}, "expected are statuses"),
        ({"expect": {100}}, "expected are statuses"),
    ],
)
def test_what_would_break_a_request_apart_is_refused(arguments, words):
    """One sentence when the request is made; nothing is ever sent."""
    with pytest.raises(RequestRefused, match=words):
        prepare(**arguments)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (
            errno.EMFILE,
            GeneratorExhausted,
            "this machine has no file descriptors (ulimit -n) left to connect to host:1",
        ),
        (errno.EADDRNOTAVAIL, GeneratorExhausted, "no local ports left"),
        (errno.EHOSTUNREACH, ConnectFailed, "no connection to host:1: No route to host"),
        (errno.ETIMEDOUT, ConnectTimeout, "the network gave up"),
    ],
)
def test_what_the_generator_lacks_is_told_apart(number, kind, words):
    """A generator without ports proves nothing about the system."""
    error = connecting_failed(number, "host:1")
    assert type(error) is kind
    assert words in str(error)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_text_gets_another_header_in(path, name, value):
    """Whatever is given: refused, or one request with exactly that header, for a server that reads strictly."""
    try:
        prepared = prepare(path="/" + path, headers={"X" + name: value})
    except RequestRefused:
        return
    server = h11.Connection(h11.SERVER)
    server.receive_data(prepared.data)
    request = server.next_event()
    assert request.target == ("/" + path).encode("latin-1")
    assert [field for field, _ in request.headers] == [b"host", b"user-agent", b"accept", ("X" + name).lower().encode()]
    assert isinstance(server.next_event(), h11.EndOfMessage)
    assert server.trailing_data[0] == b""
