"""Connections that many readings share: few at a time, each used until nobody waits for its server any more.

A thousand replicas are asked five questions each: over a connection of its own for every question they would open five
thousand, and all at once they would time out against one another. So connections are bounded, a connection is handed
from one question to the next that waits for the same server, and only then gives way to a server that has none.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from muster.read.wire import Connection, connect

MOST = 200  # connections at a time, and
MOST_EACH = 100  # to one server
IDLE_S = 1.0  # a connection that rested longer may be about to be closed by its server


@dataclass(frozen=True)
class Server:
    """Where a connection leads; ``trust`` judges its certificate, None without TLS."""

    host: str
    port: int
    trust: ssl.SSLContext | None = None


@dataclass
class _Line:
    """The connections to one server, and who waits for one: handed a connection, or None to open another."""

    opened: int = 0
    idle: list[tuple[float, Connection]] = field(default_factory=list)
    waiting: deque[asyncio.Future[Connection | None]] = field(default_factory=deque)


class Pool:
    """All connections of one run."""

    def __init__(self, most: int = MOST, most_each: int = MOST_EACH) -> None:
        self._most, self._most_each = most, most_each
        self._opened = 0
        self.made = 0  # connections that were opened, for those who count work
        self._lines: dict[Server, _Line] = {}
        self._hungry: OrderedDict[Server, None] = OrderedDict()  # servers that wait for a place
        self._resting: OrderedDict[Server, None] = OrderedDict()  # servers with an idle connection, longest first

    async def take(self, server: Server) -> Connection:
        """A connection to this server, to be given back with :meth:`give`. Raises OSError."""
        line = self._lines.setdefault(server, _Line())
        connection = self._idle(server, line)
        if connection is not None:
            return connection
        if line.opened < self._most_each and self._place():
            line.opened += 1
        else:
            connection = await self._wait(server, line)
            if connection is not None:
                return connection
        try:
            self.made += 1
            return await connect(server.host, server.port, server.trust)
        except BaseException:
            self._free(server, line)
            raise

    def give(self, server: Server, connection: Connection) -> None:
        """Whoever waits next for this server has it; nobody: it rests, or makes room for another server."""
        line = self._lines[server]
        if not connection.reusable:
            connection.abort()
            self._free(server, line)
            return
        while line.waiting:
            next_one = line.waiting.popleft()
            if not next_one.done():
                next_one.set_result(connection)
                return
        if self._hungry:
            connection.abort()
            self._free(server, line)
            return
        line.idle.append((time.monotonic(), connection))
        self._resting[server] = None

    def close(self) -> None:
        """Close what rests; what is in use is closed by whoever uses it."""
        for line in self._lines.values():
            for _, connection in line.idle:
                connection.abort()
            line.idle.clear()

    def _idle(self, server: Server, line: _Line) -> Connection | None:
        while line.idle:
            since, connection = line.idle.pop()
            if not line.idle:
                self._resting.pop(server, None)
            if connection.reusable and time.monotonic() - since < IDLE_S:
                return connection
            connection.abort()
            self._close_one(line)
        return None

    def _place(self) -> bool:
        """Take a place for a new connection: a free one, or that of the server whose connection rests longest."""
        if self._opened >= self._most and self._resting:
            server = next(iter(self._resting))
            line = self._lines[server]
            line.idle.pop(0)[1].abort()
            if not line.idle:
                del self._resting[server]
            self._close_one(line)
        if self._opened >= self._most:
            return False
        self._opened += 1
        return True

    async def _wait(self, server: Server, line: _Line) -> Connection | None:
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        if line.opened < self._most_each:
            self._hungry[server] = None
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # handed over in the same instant
                connection = turn.result()
                if connection is None:
                    self._free(server, line)
                else:
                    self.give(server, connection)
            raise

    def _close_one(self, line: _Line) -> None:
        line.opened -= 1
        self._opened -= 1

    def _free(self, server: Server, line: _Line) -> None:
        """One connection less: its place goes to who waits for this server, else to the server that waits longest."""
        self._close_one(line)
        if self._invite(server, line):
            return
        while self._hungry:
            candidate = next(iter(self._hungry))
            if self._invite(candidate, self._lines[candidate]):
                return

    def _invite(self, server: Server, line: _Line) -> bool:
        """Give a free place to who waits longest for this server; whether somebody did."""
        self._hungry.pop(server, None)
        while line.waiting:
            turn = line.waiting.popleft()
            if not turn.done():
                line.opened += 1
                self._opened += 1
                turn.set_result(None)
                if line.waiting and line.opened < self._most_each:
                    self._hungry[server] = None
                return True
        return False
