"""The ASGI application: routing, faults, accounting. Raw ASGI, because a request has 50 microseconds.

What needs not wait for anything can be asked for without ASGI, too: :meth:`App.at_once`, see :mod:`lab.service.http`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from lab.service.faults import Faults
from lab.service.logs import Sampled
from lab.service.metrics import CONTENT_TYPE, Buckets, Value
from lab.service.pages import BadRequest, Pages
from lab.service.settings import SettingsError
from lab.service.telemetry import Telemetry

Message = dict[str, Any]
Reply = tuple[Message, Message]  # the two ASGI messages of one answer
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Handler = Callable[[bytes, bytes], Any]  # query string, body -> a JSON value, or bytes that are JSON already


class Call(NamedTuple):
    """One request for a handler that exists, its body read."""

    method: str
    path: str
    handler: Handler
    query: bytes
    body: bytes


JSON = b"application/json"
BODY_LIMIT = 64 * 1024
HEALTH_FRESH_S = 0.2  # how old the body of /health may be
log = logging.getLogger("api")
_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make a new encoder for every answer


class App:
    """One replica's HTTP side. ``ready`` is set by whoever starts the replica, :meth:`drain` called at its end.

    Raises:
        SettingsError: A fault names an endpoint that is not one of the API's.
    """

    def __init__(self, pages: Pages, faults: Faults, telemetry: Telemetry) -> None:
        self.ready = self.draining = False
        self.last_request = 0.0  # monotonic seconds; probes and scrapes do not count
        self._pages, self._faults, self._telemetry = pages, faults, telemetry
        self._routes = _routes(pages)
        for endpoint in faults.latency:
            if endpoint and not (endpoint in self._routes and endpoint.startswith("/api/")):
                raise SettingsError(f"FAULT_LATENCY_MS: {endpoint} is not an endpoint of the API")
        self._errors = Sampled("api")
        self._counted: dict[tuple[str, str, int], Value] = {}
        self._durations: dict[str, Buckets] = {}  # status pages get theirs when first asked: 18 series each
        for path in self._routes:
            self._count("GET", path, 200)
            if path.startswith("/api/"):
                self._count("GET", path, 500)  # a rate over a series that appears with the fault misses its start
                self._durations[path] = telemetry.duration.of(path)
        self._health: Reply = ({}, {})
        self._health_until = 0.0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request. /health* and /metrics are kept out of the accounts: probes would dilute the ratios."""
        path = scope["path"]
        if path == "/health":
            if time.monotonic() >= self._health_until:
                self._health = self._reply(200, self._pages.health())
                self._health_until = time.monotonic() + HEALTH_FRESH_S
            start, body = self._health
        elif path == "/health/ready":
            start, body = self._readiness()
        elif path == "/metrics":
            start, body = _reply(200, self._telemetry.render(), CONTENT_TYPE, close=self.draining)
        else:
            start, body = await self._accounted(scope, receive)
        await send(start)
        await send(body)

    def drain(self) -> None:
        """From now on: not ready, and every answer closes its connection, so that nobody sends the next one here."""
        self.draining = True
        self._health_until = 0.0

    def _readiness(self) -> Reply:
        """200 once started, 503 before, for ever with FAULT_NEVER_READY, and again when leaving."""
        state = "draining" if self.draining else "ready" if self.ready and not self._faults.never_ready else "starting"
        return self._reply(200 if state == "ready" else 503, {"status": state})

    def call(self, method: str, path: str, query: bytes, body: bytes) -> Call | None:
        """The request, if there is a handler for it."""
        handler = self._routes.get(path, {}).get(method)
        return Call(method, path, handler, query, body) if handler else None

    def at_once(self, call: Call) -> tuple[int, bytes] | None:
        """Status and body in JSON, accounted for; None when the answer has to wait or to close its connection."""
        if self.draining or (self._faults.latency and call.path.startswith("/api/")):
            return None
        started = time.perf_counter()
        self.last_request = time.monotonic()
        status, value = self._run(call)
        self._account(call.method, call.path, status, started)
        return status, _body_of(value)

    async def _accounted(self, scope: Message, receive: Receive) -> Reply:
        started = time.perf_counter()
        self.last_request = time.monotonic()
        method, path = scope["method"], scope["path"]
        status, value = await self._answer(method, path, scope["query_string"], receive)
        self._account(method, path, status, started)
        return self._reply(status, value)

    async def _answer(self, method: str, path: str, query: bytes, receive: Receive) -> tuple[int, Any]:
        if path not in self._routes:
            return 404, {"error": "not found"}
        call = self.call("GET" if method == "HEAD" else method, path, query, b"")
        if call is None:
            return 405, {"error": "method not allowed"}
        body = b"" if call.method == "GET" else await _body(receive)
        if body is None:
            return 413, {"error": f"the body is over {BODY_LIMIT} bytes"}
        if path.startswith("/api/") and (delay_s := self._faults.delay_s(path)):
            await asyncio.sleep(delay_s)
        return self._run(call._replace(body=body))

    def _run(self, call: Call) -> tuple[int, Any]:
        if call.path.startswith("/api/") and self._faults.fails():
            return 500, {"error": "internal error"}
        try:
            return (202 if call.method == "POST" else 200), call.handler(call.query, call.body)
        except BadRequest as error:
            return 400, {"error": str(error)}
        except Exception:  # the border of a request: one that fails must not take others with it
            log.exception("%s %s failed", call.method, call.path)
            return 500, {"error": "internal error"}

    def _account(self, method: str, path: str, status: int, started: float) -> None:
        endpoint = path if path in self._routes else "other"  # a label of the caller's choice would never end
        self._count(method, endpoint, status).value += 1
        if endpoint != "other":
            took = self._durations.get(endpoint) or self._telemetry.duration.of(endpoint)
            took.observe(time.perf_counter() - started)
        if status >= 400:
            self._telemetry.errors.of("internal" if status >= 500 else "client").value += 1
            self._errors.write(logging.ERROR if status >= 500 else logging.WARNING, "%s %s %d", method, path, status)

    def _count(self, method: str, endpoint: str, status: int) -> Value:
        key = (method, endpoint, status)
        child = self._counted.get(key)
        if child is None:
            child = self._counted[key] = self._telemetry.requests.of(method, endpoint, str(status))
        return child

    def _reply(self, status: int, value: Any) -> Reply:
        return _reply(status, _body_of(value), JSON, close=self.draining)


def _routes(pages: Pages) -> dict[str, dict[str, Handler]]:
    return {
        "/mesh/status": {"GET": lambda _query, _body: pages.mesh_status()},
        "/mesh/peers": {"GET": lambda _query, _body: pages.mesh_peers()},
        "/security/pqc/status": {"GET": lambda _query, _body: pages.pqc_status()},
        "/api/v1/ping": {"GET": lambda _query, _body: pages.ping()},
        "/api/v1/route": {"GET": lambda query, _body: pages.route(query)},
        "/api/v1/messages": {
            "GET": lambda _query, _body: pages.messages(),
            "POST": lambda _query, body: pages.accept(body),
        },
    }


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None when it is over the limit."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_LIMIT:
            return None
    return body


def _body_of(value: Any) -> bytes:
    return (value if isinstance(value, bytes) else _encode(value).encode()) + b"\n"


def _reply(status: int, body: bytes, content_type: bytes, *, close: bool) -> Reply:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    if close:
        headers.append((b"connection", b"close"))
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )
