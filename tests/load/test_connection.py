"""One lean connection against a server that hangs up, stalls, talks out of turn, lies and resets."""

from __future__ import annotations

import socket

import httpx
import pytest
from hostile import READ, RESET, Hostile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def errors_of(result):
    return [outcome.get("error") for outcome in result["outcomes"]]


def test_one_connection_carries_all_requests(drive):
    """Three answers, one connection; each request is whole and names its host."""
    with Hostile([READ, OK, READ, OK, READ, OK]) as server:
        result = drive(server.url, {}, {"path": "/a?b=c"}, {"method": "POST", "body": "x" * 10})
    assert [outcome["status"] for outcome in result["outcomes"]] == [200, 200, 200]
    assert (result["connected"], result["resent"], server.connections) == (1, 0, 1)
    assert server.requests[1].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port)
    assert b"Content-Length: 10" in server.requests[2]


def test_a_server_that_hangs_up_while_idle_costs_a_connection_and_no_error(drive):
    """What was closed before the next request is seen in time: nothing is sent into it, nothing is sent twice."""
    with Hostile([READ, OK], [READ, OK]) as server:
        result = drive(server.url, {}, {"method": "POST", "pause_s": 2.0})  # it has hung up by then
    assert errors_of(result) == [None, None]
    assert (result["connected"], result["resent"], len(server.requests)) == (2, 0, 2)


@pytest.mark.parametrize("ending", [[], [RESET]], ids=["closed", "reset"])
def test_an_idempotent_request_on_a_kept_connection_is_sent_once_more(drive, ending):
    """The server takes the second request and hangs up: GET goes over a new connection, and that is counted."""
    with Hostile([READ, OK, READ, *ending], [READ, OK]) as server:
        result = drive(server.url, {}, {"path": "/again"})
    assert errors_of(result) == [None, None]
    assert (result["connected"], result["resent"]) == (2, 1)
    assert [head.split()[1] for head in server.requests] == [b"/", b"/again", b"/again"]


def test_it_is_sent_once_more_only_once(drive):
    """A server that hangs up again gets an error, not a loop."""
    with Hostile([READ, OK, READ], [READ]) as server:
        result = drive(server.url, {}, {})
    assert errors_of(result) == [None, "ClosedEarly"]
    assert (result["resent"], len(server.requests)) == (1, 3)


def test_what_is_not_idempotent_is_never_sent_twice(drive):
    """A POST may have been carried out: its lost answer is an error."""
    with Hostile([READ, OK, READ], [READ, OK]) as server:
        result = drive(server.url, {}, {"method": "POST", "path": "/pay"})
    assert errors_of(result) == [None, "ClosedEarly"]
    assert result["outcomes"][1]["sentence"].endswith("closed the connection before it answered POST /pay")
    assert (result["resent"], len(server.requests)) == (0, 2)


def test_a_new_connection_that_is_closed_at_once_is_an_error(drive):
    """Only a kept connection may have died of age."""
    with Hostile([READ]) as server:
        result = drive(server.url)
    assert errors_of(result) == ["ClosedEarly"]
    assert result["resent"] == 0


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ([READ, RESET], "ConnectionReset", "reset the connection before it answered GET /"),
        ([READ, OK[:-1]], "Truncated", "in the middle of the answer: in its body, after 1 bytes"),
        ([READ, OK[:10]], "Truncated", "in its head"),
        ([READ, OK[:-1], 5.0, RESET], "ConnectionReset", "in the middle of an answer"),  # unread, it would be lost
        ([READ, b"SMTP ready\r\n"], "Malformed", "no HTTP/1.1 status line"),
        ([READ, OK + b"more"], "Desync", "bytes after its answer"),
        ([READ, OK[:-1], 0.05, b"k" + OK], "Desync", "bytes after its answer"),
    ],
)
def test_broken_answers_are_typed_errors_of_one_sentence(drive, script, error, words):
    """What ends an answer early or wrongly has its own class and says where and how."""
    with Hostile(script) as server:
        result = drive(server.url)
    assert errors_of(result) == [error]
    sentence = result["outcomes"][0]["sentence"]
    assert words in sentence
    assert "\n" not in sentence


def test_after_an_error_the_next_request_has_a_new_connection(drive):
    """Nothing of a broken exchange is left for the next one."""
    with Hostile([READ, OK + b"stray"], [READ, OK]) as server:
        result = drive(server.url, {}, {})
    assert errors_of(result) == ["Desync", None]
    assert result["connected"] == 2


def test_bytes_out_of_turn_fail_the_next_request(drive):
    """An answer that nobody asked for would be taken for the next request's: that one is an error, and is not sent."""
    with Hostile([READ, OK, 1.0, OK, READ], [READ, OK]) as server:  # the first is taken by then, and the next not asked
        result = drive(server.url, {}, {"pause_s": 5.0}, {})
    assert errors_of(result) == [None, "Desync", None]
    assert len(server.requests) == 2


TRICKLE = [b"HTTP/1.1 200 OK\r\nX: ", *([b"x", 0.2] * 100)]


@pytest.mark.parametrize("trickle", [[], TRICKLE], ids=["silence", "trickle"])
def test_the_time_for_an_answer_is_for_all_of_it(drive, trickle):
    """A server that trickles does not get more time than a silent one."""
    with Hostile([READ, *trickle, READ]) as server:  # it goes on until the other side hangs up
        result = drive(server.url, answer_timeout_s=0.4)
    assert errors_of(result) == ["AnswerTimeout"]
    assert 0.39 <= result["outcomes"][0]["took_s"] < 10  # the trickle lasts twice as long
    assert result["outcomes"][0]["sentence"].endswith("did not answer completely within 0.4 s")


def test_time_is_counted_anew_for_each_request(drive):
    """Requests that are each in time do not add up to a timeout."""
    with Hostile([READ, 0.5, OK] * 13) as server:
        result = drive(server.url, *[{}] * 13, answer_timeout_s=6.0)
    assert errors_of(result) == [None] * 13
    assert result["connected"] == 1


@pytest.mark.parametrize(
    "last",
    [
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    ],
)
def test_a_connection_that_the_server_gives_up_is_not_used_again(drive, last):
    """``Connection: close``, HTTP/1.0 and bodies without length end it, with no error and nothing sent again."""
    with Hostile([READ, last], [READ, OK]) as server:
        result = drive(server.url, {}, {"method": "POST"})
    assert errors_of(result) == [None, None]
    assert (result["connected"], result["resent"]) == (2, 0)


def test_a_large_body_reaches_a_slow_reader(drive):
    """Four megabytes are sent in as many pieces as the server takes."""
    with Hostile([0.2, READ, OK]) as server:
        result = drive(server.url, {"method": "POST", "body": "x" * 4_000_000})
    assert errors_of(result) == [None]


def test_an_answer_before_all_was_sent_counts_and_ends_the_connection(drive):
    """413 to half a body is the answer; the other half is not sent into the next exchange."""
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with Hostile([early, 4.0], [READ, OK]) as server:  # its end would take away what was not read yet
        result = drive(server.url, {"method": "POST", "body": "x" * 8_000_000}, {})
    assert [outcome["status"] for outcome in result["outcomes"]] == [413, 200]
    assert result["connected"] == 2


def test_a_user_that_is_stopped_in_mid_exchange_leaves_nothing_behind(drive):
    """The rest of its answer belongs to nobody: the connection is closed with it."""
    with Hostile([READ, READ, OK], [READ, OK]) as server:  # the first is not answered before the second comes
        result = drive(server.url, {"kill_after_s": 0.5}, {"pause_s": 0.4})
    assert result["outcomes"][0] == {"killed": True}
    assert errors_of(result)[1] is None
    assert server.connections == 2


def test_nobody_listens(drive):
    """A refused connection is said in one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = drive(f"http://127.0.0.1:{port}")
    assert errors_of(result) == ["ConnectRefused"]
    assert result["outcomes"][0]["sentence"] == f"127.0.0.1:{port} refused the connection"


def test_a_listener_that_does_not_accept_is_a_connect_timeout(drive):
    """A full backlog drops connection attempts: the time for connecting runs out."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        result = drive(f"http://127.0.0.1:{address[1]}", connect_timeout_s=0.3)
        for filler in fillers:
            filler.close()
    assert errors_of(result) == ["ConnectTimeout"]
    assert "within 0.3 s" in result["outcomes"][0]["sentence"]


def test_the_next_address_is_tried(drive):
    """A name may stand for several addresses (``localhost`` often for ::1 first): one that listens is enough."""
    with Hostile([READ, OK, READ, OK]) as server:
        result = drive(server.url.replace("127.0.0.1", "localhost"), {}, {})
    assert errors_of(result) == [None, None]
    assert b"\r\nHost: localhost:%d\r\n" % server.port in server.requests[0] + b"\r\n"


def test_a_name_that_does_not_exist(drive):
    """DNS failures name the host."""
    result = drive("http://no-such-host.invalid:80", connect_timeout_s=5)
    assert errors_of(result) == ["NameNotResolved"]
    assert "no-such-host.invalid" in result["outcomes"][0]["sentence"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://127.0.0.1", "is not an http:// or https:// address"),
        ("127.0.0.1:80", "is not an http:// or https:// address"),
        ("http://127.0.0.1:99999", "is not an address"),
        ("http://user:secret@127.0.0.1", "must have no user"),
        ("http://127.0.0.1/base", "must have no user, path"),
    ],
)
def test_wrong_addresses_are_refused_before_anything_is_sent(drive, url, words):
    """One sentence, and no secret in it."""
    refused = drive(url)["refused"]
    assert words in refused
    assert "secret" not in refused


ANSWERS = st.sampled_from(
    [
        OK,
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nT: v\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + 200_000 * b"x",
        b"HTTP/1.0 200 OK\r\n\r\nold",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"",
    ]
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANSWERS, st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0.0, 0.003])), max_size=5))
def test_real_sockets_agree_with_httpx(drive, answer, cuts):
    """The same server, the same pieces and pauses: the same status and length as httpx, or an error for both."""
    script, at = [READ], 0
    for size, pause_s in cuts:
        script += [answer[at : at + size], pause_s]
        at += size
    script.append(answer[at:])
    with Hostile(script) as server:
        outcome = drive(server.url)["outcomes"][0]
        try:
            theirs = httpx.get(server.url, trust_env=False, verify=False)  # noqa: S501 - no TLS here
        except httpx.TransportError:
            assert "error" in outcome
        else:
            assert (outcome["status"], outcome["length"]) == (theirs.status_code, len(theirs.content))
