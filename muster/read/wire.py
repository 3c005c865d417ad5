"""One GET over one connection: HTTP/1.1 as it comes off the wire, parsed by llhttp, the body given on as it comes.

Small on purpose: a run of a thousand replicas asks some five thousand questions, and a general client spends more on
each than the server does. Nothing is followed, tried again or believed here; :mod:`muster.read.http` says what counts.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Any

import httptools

DEAD_S = 0.25  # after so long the next address of a name is tried beside the first
LONGEST_HEAD = 65536  # bytes of status line and headers
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_REFUSED = "111"


class BrokenAnswerError(ConnectionError):
    """What came is no HTTP, or ended before it was whole."""


class Receiving:
    """One answer while it comes in; ``take`` gets each piece of the body, and what it raises ends the answer."""

    def __init__(self, begun: Callable[[Receiving], Callable[[bytes], None]]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._begun = begun
        self._take: Callable[[bytes], None] | None = None

    def begin(self, status: int) -> None:
        """The head is in."""
        self.status = status
        try:
            self._take = self._begun(self)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the answer
            self.fail(error)

    def take(self, piece: bytes) -> None:
        """A piece of the body, as it was sent."""
        if self._take is None or self.done.done():
            return
        try:
            self._take(piece)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the answer
            self.fail(error)

    def end(self) -> None:
        """It is whole."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: BaseException) -> None:
        """It will not be whole."""
        if not self.done.done():
            self.done.set_exception(error)


class Connection(asyncio.Protocol):
    """A connection to one server: one answer after the other. ``reusable`` is false once either side has had enough."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._receiving: Receiving | None = None
        self._head_bytes = 0
        self._until_close = False
        self._keep = True
        self._ended = False

    @property
    def reusable(self) -> bool:
        """Whether another question may be asked."""
        return self._keep and not self._ended and self._receiving is None

    async def ask(self, request: bytes, receiving: Receiving) -> None:
        """Send a request, wait until its answer is whole. Raises BrokenAnswerError, and what ``receiving`` raises."""
        assert self._transport is not None  # noqa: S101 - made by connect()
        self._parser = httptools.HttpResponseParser(self)
        self._receiving, self._head_bytes, self._until_close = receiving, 0, False
        whole = False
        if self._ended:
            raise BrokenAnswerError("the server closed the connection")
        self._transport.write(request)
        try:
            await receiving.done
            whole = True
        finally:
            self._receiving = None
            if not whole:
                self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._keep = False
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the connection stands."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes came in."""
        receiving = self._receiving
        if receiving is None or receiving.done.done():
            self.abort()  # nobody asked, or nobody wants more
            return
        if not receiving.status and (whole := self._head_bytes + len(data)) > LONGEST_HEAD:
            head = data.find(b"\r\n\r\n")
            if head < 0 or self._head_bytes + head > LONGEST_HEAD:
                receiving.fail(BrokenAnswerError(f"{whole} bytes of headers, and no end of them"))
                return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            said = str(error) or "it changes to another protocol"
            receiving.fail(BrokenAnswerError(f"its answer is not HTTP/1.1: {said}"))

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio's: the end, or what broke it."""
        self._ended = True
        receiving = self._receiving
        if receiving is None:
            return
        if self._until_close and error is None:
            receiving.end()
        elif error is not None:
            receiving.fail(error)
        elif receiving.status:
            receiving.fail(BrokenAnswerError("the server closed the connection in the middle of its answer"))
        else:
            receiving.fail(BrokenAnswerError("the server closed the connection without an answer"))

    # ---- the parser's side

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser's: one header."""
        if self._receiving is not None and not self._receiving.done.done():
            self._receiving.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """The parser's: the head of an answer, or of what comes before one (103)."""
        receiving, status = self._receiving, self._parser.get_status_code()
        if receiving is None:
            return
        if receiving.done.done():  # another one, which nobody asked for
            self._keep = False
            return
        if status < 200:
            receiving.headers.clear()
            return
        bounded = {"content-length", "transfer-encoding"} & receiving.headers.keys() or status in {204, 304}
        self._until_close = not bounded
        self._keep = bool(bounded and self._parser.should_keep_alive())
        receiving.begin(status)

    def on_body(self, piece: bytes) -> None:
        """The parser's: a piece of the body."""
        if self._receiving is not None:
            self._receiving.take(piece)

    def on_message_complete(self) -> None:
        """The parser's: the answer is whole."""
        if self._receiving is not None and self._receiving.status:
            self._receiving.end()


async def connect(host: str, port: int, trust: ssl.SSLContext | None) -> Connection:
    """A connection, over TLS with ``trust``. Raises OSError: refused, no such host, not trusted."""
    loop = asyncio.get_running_loop()
    try:
        named = ":" not in host and not host[-1:].isdigit()  # a name may have several addresses, one of them dead
        _, connection = await loop.create_connection(
            Connection, host, port, ssl=trust, happy_eyeballs_delay=DEAD_S if named else None
        )
    except OSError as error:
        # One name, several addresses: asyncio tells of all of them in one sentence, and loses what kind they were.
        if error.errno is None and (numbers := _ERRNO.findall(str(error))) and set(numbers) == {_REFUSED}:
            raise ConnectionRefusedError(str(error)) from None
        raise
    return connection
