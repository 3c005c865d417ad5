"""Requests that come again by the same bytes are answered by a shorter way, and in nothing else differently."""

from __future__ import annotations

import signal
import socket

import pytest

PING = b"GET /api/v1/ping HTTP/1.1\r\nHost: r0\r\n\r\n"
MESSAGE = b'{"to": "r1", "text": "hi"}'
POST = b"POST /api/v1/messages HTTP/1.1\r\nHost: r0\r\nContent-Length: %d\r\n\r\n%b" % (len(MESSAGE), MESSAGE)


class Caller:
    """One connection; answers are split by their Content-Length."""

    def __init__(self, address: str) -> None:
        self.socket = socket.create_connection((address, 8080), timeout=20)
        self.stream = self.socket.makefile("rb")

    def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        status = int(self.stream.readline().split()[1])
        headers = dict(iter(lambda: tuple(self.stream.readline().rstrip().split(b": ", 1)), (b"",)))
        return status, headers, self.stream.read(int(headers[b"content-length"]))

    def ask(self, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        self.socket.sendall(request)
        return self.answer()

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


@pytest.fixture
def caller(replica):
    """A connection to a healthy replica."""
    it = Caller(replica.address)
    yield it
    it.close()


def test_the_second_answer_has_the_heads_and_the_accounts_of_the_first(replica, caller):
    """Status, header names, body and counters: the way is no difference to anybody."""
    before = replica.metric("x0tta6bl4_requests_total")
    first, second = caller.ask(PING), caller.ask(PING)
    assert first[0] == second[0] == 200
    assert first[1].keys() == second[1].keys() == {b"date", b"content-type", b"content-length"}
    assert first[2] == second[2]
    assert replica.metric("x0tta6bl4_requests_total") == before + 2
    assert replica.metric("x0tta6bl4_request_duration_seconds_count", endpoint="/api/v1/ping") == 2


def test_a_repeated_body_is_taken_each_time(caller):
    """A message sent three times is three messages."""
    answers = [caller.ask(POST) for _ in range(3)]
    assert [status for status, _, _ in answers] == [202, 202, 202]
    assert [body for _, _, body in answers] == [b'{"id":%d,"accepted":true}\n' % number for number in (1, 2, 3)]


def test_pieces_and_pipelines_of_known_requests_are_answered_in_order(caller):
    """Known bytes in the middle of another request, or two at once, are not taken for a request of their own."""
    caller.ask(PING)
    caller.socket.sendall(PING + PING + POST)
    assert [caller.answer()[0] for _ in range(3)] == [200, 200, 202]
    head = b"POST /api/v1/messages HTTP/1.1\r\nHost: r0\r\nContent-Length: %d\r\n\r\n" % len(PING)
    caller.socket.sendall(head)
    assert caller.ask(PING)[0] == 400  # this time it was the body of a message, and not JSON
    assert caller.ask(PING)[0] == 200


def test_what_asks_for_a_close_is_closed_each_time(replica, caller):
    """A request with Connection: close gets it, also when the same bytes came before."""
    closing = PING.replace(b"Host", b"Connection: close\r\nHost")
    for _ in range(2):
        one = Caller(replica.address)
        assert one.ask(closing)[1][b"connection"] == b"close"
        assert one.stream.read() == b""
        one.close()
    assert caller.ask(PING)[0] == 200


def test_faults_hit_repeated_requests_as_any_other(replicas):
    """All fail with an error ratio of 1; with a latency none is answered sooner."""
    failing, slow = replicas(2, only={0: {"FAULT_ERROR_RATIO": "1"}, 1: {"FAULT_LATENCY_MS": "120"}})
    callers = [Caller(replica.up().address) for replica in (failing, slow)]
    assert [callers[0].ask(PING)[0] for _ in range(4)] == [500] * 4
    assert failing.metric("x0tta6bl4_requests_total", endpoint="/api/v1/ping", status="500") == 4
    assert [callers[1].ask(PING)[0] for _ in range(3)] == [200] * 3
    assert slow.metric("x0tta6bl4_request_duration_seconds_bucket", endpoint="/api/v1/ping", le="0.1") == 0
    for each in callers:
        each.close()


def test_a_leaving_replica_closes_also_on_repeated_requests(replicas, eventually):
    """Or nobody would ever go elsewhere."""
    (replica,) = replicas(DRAIN_S="60", DRAIN_QUIET_S="20")  # it must not have left before it is asked
    caller = Caller(replica.up().address)
    caller.ask(PING)
    caller.ask(PING)
    replica.process.send_signal(signal.SIGTERM)
    eventually(lambda: replica.get("/health/ready").status_code == 503, "not ready")
    assert caller.ask(PING)[1][b"connection"] == b"close"
    caller.close()


def test_resets_leave_nothing_behind(replica, eventually):
    """Connections that are reset are let go of, timer and all: memory stays."""
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")

    def churn(count: int) -> float:
        for _ in range(count):
            one = Caller(replica.address)
            one.ask(PING)
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            one.close()
        return replica.metric("process_resident_memory_bytes")

    before = churn(500)
    assert churn(2500) - before < 1e6
