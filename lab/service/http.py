"""uvicorn's HTTP/1.1 protocol with a short way for requests that were seen before.

Under load the same bytes come again and again. A request that came whole, in one piece, is remembered by its bytes once
uvicorn has parsed it; when they come again, parsing, ASGI and a task of its own are left out, which is three
quarters of the Python. Whatever is unusual (in parts, pipelined, closing, waiting, never seen) goes uvicorn's way.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lab.service.app import JSON, App, Call

KNOWN_MOST, KNOWN_BYTES = 256, 2048  # a caller that never repeats itself must not fill the memory


class Dates:
    """The headers that every answer carries, as bytes; uvicorn makes a new list of them each second."""

    def __init__(self) -> None:
        self._list: list[tuple[bytes, bytes]] | None = None
        self._bytes = b""

    def of(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The list as the lines of a head."""
        if headers is not self._list:
            self._list, self._bytes = headers, b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return self._bytes


class Protocol(HttpToolsProtocol):
    """One connection. ``config.app`` is the :class:`App`, not wrapped in anything."""

    _known: dict[bytes, Call] = {}  # noqa: RUF012 - one process is one replica: all connections share it
    _dates = Dates()

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        assert isinstance(self.config.app, App)  # noqa: S101 - for the types; whoever starts the server passes it
        self._app: App = self.config.app
        self._between = True  # between two requests: the parser has nothing of the next one
        self._completed = 0
        self._heard = 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer, too: uvicorn keeps it, and all of the connection with it, after a reset."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Answer what is known at once, and have the rest parsed."""
        if self._between:
            call = self._known.get(data)
            if call is not None and self._idle() and self._answer(call):
                return
        fresh, self._completed = self._between, 0
        super().data_received(data)
        if fresh and self._between and self._completed == 1:
            self._remember(data)

    def _idle(self) -> bool:
        """Whether nothing of an earlier request is still to be sent: answers come in the order of the requests."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _answer(self, call: Call) -> bool:
        done = self._app.at_once(call)
        if done is None:
            return False
        status, body = done
        head = STATUS_LINE[status] + self._dates.of(self.server_state.default_headers)
        self.transport.write(b"%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (head, JSON, len(body), body))
        self.server_state.total_requests += 1
        self._heard = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait(self.timeout_keep_alive)
        return True

    def _remember(self, data: bytes) -> None:
        """Called before the request's task has run: its body is still there."""
        cycle, method = self.cycle, self.scope["method"]
        if len(data) > KNOWN_BYTES or not cycle.keep_alive or self.expect_100_continue or method == "HEAD":
            return
        call = self._app.call(method, self.scope["path"], self.scope["query_string"], bytes(cycle.body))
        if call:
            if len(self._known) >= KNOWN_MOST:
                self._known.clear()
            self._known[data] = call

    def on_message_begin(self) -> None:
        """The parser's call: something of a request is here."""
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """The parser's call: all of a request is here."""
        self._between = True
        self._completed += 1
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nobody asks; the short way leaves the timer alone and only notes the time."""
        left_s = self._heard + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._wait(left_s)
        else:
            super().timeout_keep_alive_handler()

    def _wait(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
