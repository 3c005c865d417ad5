"""A TCP proxy in front of pods that treats what passes as the links between the two ends say.

Each piece of data asks anew what it suffers, so a fault that begins, changes or ends takes effect at once. What netem
does to packets, this does to the pieces that a program sends: the handshake costs one delay of each side, every piece
one of its own side; a loss ends the connection with a reset, at its begin or at its next request.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

from lab.chaos.links import Effect

Address = tuple[str, int]
Suffers = Callable[[str, str], Effect]

_ORIGINAL_DST = 80  # SO_ORIGINAL_DST of linux/netfilter_ipv4.h: where a redirected connection was going
_CONNECT_S = 10.0
_MOST_QUEUED = 1 << 20  # bytes on their way before the sender is made to wait
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER without time: close with a reset


class Proxy:
    """Listens where it is told to; ``suffers(source, destination)`` says what packets between two addresses suffer.

    ``mark`` is put on its own connections to pods, 0 for none.
    """

    def __init__(self, suffers: Suffers, *, mark: int = 0) -> None:
        self.suffers = suffers
        self.mark = mark
        self.connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    async def open(self, host: str, destination: Address | None = None) -> Address:
        """Listen on a free port for connections to ``destination``; None: to wherever the kernel redirected them from.

        Raises OSError.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Client(self, destination), host, 0, backlog=512)
        self._servers.append(server)
        return cast("Address", server.sockets[0].getsockname()[:2])

    def close(self) -> None:
        """Stop listening and reset what is open."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self.connections):
            connection.reset()

    def release(self, quiet_s: float) -> None:
        """Close connections that suffer nothing any longer, between two exchanges, so that new ones go straight.

        An exchange counts as over when nothing has followed its answer for ``quiet_s``.
        """
        for connection in list(self.connections):
            if connection.idle(quiet_s) and not (connection.up.effect or connection.down.effect):
                connection.close()


class _End(asyncio.Protocol):
    """One side of a connection."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.outgoing: _Way | None = None
        self.incoming: _Way | None = None
        self.transport: asyncio.Transport | None = None
        self.full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.incoming is not None:
            self.incoming.deliver()

    def data_received(self, data: bytes) -> None:
        if self.connection is not None and self.outgoing is not None:
            self.connection.moves(self.outgoing, data)

    def eof_received(self) -> bool:
        if self.connection is not None and self.outgoing is not None:
            self.connection.moves(self.outgoing, None)
        return True  # the other direction goes on

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self.incoming is not None:
            self.incoming.deliver()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.connection is not None:
            self.connection.lost(self)


class _Client(_End):
    """The side that has come to us."""

    def __init__(self, proxy: Proxy, destination: Address | None) -> None:
        super().__init__()
        self._proxy = proxy
        self._destination = destination

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        try:
            source = transport.get_extra_info("peername")[:2]
            sock = transport.get_extra_info("socket")
            destination = self._destination or _original(sock.getsockopt(socket.SOL_IP, _ORIGINAL_DST, 16))
        except (OSError, TypeError):  # gone already, or not redirected at all
            cast("asyncio.Transport", transport).abort()
            return
        self.connection = Connection(self._proxy, self, source, destination)


class Connection:
    """One connection through the proxy: a client's side, a pod's side and what is on its way between them."""

    def __init__(self, proxy: Proxy, client: _End, source: Address, destination: Address) -> None:
        self._proxy = proxy
        self._source, self._destination = source, destination
        self._client, self._server = client, _End()
        self._server.connection = self
        self.up = _Way(client, self._server, lambda: proxy.suffers(source[0], destination[0]))
        self.down = _Way(self._server, client, lambda: proxy.suffers(destination[0], source[0]))
        self._moved = asyncio.get_running_loop().time()
        self._upward = False  # what moved last
        proxy.connections.add(self)
        self._connecting = asyncio.ensure_future(self._connect())

    def idle(self, quiet_s: float) -> bool:
        """Whether nothing is on its way and no answer is owed, for so long."""
        quiet = asyncio.get_running_loop().time() - self._moved > quiet_s
        return quiet and self._connecting.done() and not (self._upward or self.up.queue or self.down.queue)

    async def _connect(self) -> None:
        """Reach the pod from the client's own address, so that both ends see each other."""
        if self._is_lost():
            return
        await asyncio.sleep(self.up.effect.sample_s() + self.down.effect.sample_s())
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            if self._proxy.mark:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._proxy.mark)
            sock.bind((self._source[0], 0))
            async with asyncio.timeout(_CONNECT_S):
                await loop.sock_connect(sock, self._destination)
            await loop.create_connection(lambda: self._server, sock=sock)
        except (OSError, TimeoutError):
            sock.close()
            self.reset()
        except asyncio.CancelledError:
            sock.close()
            raise

    def _is_lost(self) -> bool:
        """Roll the dice for one exchange; True after the connection was reset."""
        both = self.up.effect + self.down.effect
        lost = both.cut or random.random() < both.loss  # noqa: S311  # no secret
        if lost:
            self.reset()
        return lost

    def moves(self, way: _Way, data: bytes | None) -> None:
        """A program has sent a piece (None: its end)."""
        upward = way is self.up
        request = upward and not self._upward and data is not None and self._server.transport is not None
        if request and self._is_lost():
            return
        self._upward, self._moved = upward, asyncio.get_running_loop().time()
        way.send(data)

    def close(self) -> None:
        """Close both sides once all is written."""
        for end in (self._client, self._server):
            if end.transport is not None:
                end.transport.close()

    def reset(self) -> None:
        """End both sides with a reset."""
        self._forget()
        for end in (self._client, self._server):
            if end.transport is not None:
                with contextlib.suppress(OSError):
                    end.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.transport.abort()

    def lost(self, end: _End) -> None:
        """One side is gone: what it has sent still arrives if it said goodbye."""
        if end.incoming is not None:
            end.incoming.stop()
        if end.outgoing is not None and not end.outgoing.ending:
            self.reset()
        self.settle()

    def settle(self) -> None:
        """Close it when both directions have ended."""
        if self.up.over and self.down.over:
            self._forget()
            self.close()

    def _forget(self) -> None:
        if self._connecting is not asyncio.current_task():
            self._connecting.cancel()
        self._proxy.connections.discard(self)
        self.up.stop()
        self.down.stop()


class _Way:
    """One direction: pieces in order, each with the moment before which it must not arrive."""

    def __init__(self, origin: _End, target: _End, effect: Callable[[], Effect]) -> None:
        self.queue: deque[tuple[float, bytes | None]] = deque()
        self.ending = False  # its end was sent
        self.over = False  # its end has arrived
        self._origin, self._target, self._effect = origin, target, effect
        self._queued = 0
        self._paused = False
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        origin.outgoing = target.incoming = self

    @property
    def effect(self) -> Effect:
        """What it suffers now."""
        return self._effect()

    def send(self, data: bytes | None) -> None:
        """Take a piece; nothing overtakes."""
        effect = self.effect
        delay_s = effect.sample_s() if effect else 0.0
        self._last = max(asyncio.get_running_loop().time() + delay_s, self._last)
        self.queue.append((self._last, data))
        self.ending = self.ending or data is None
        self._queued += len(data or b"")
        if self._queued > _MOST_QUEUED and not self._paused and self._origin.transport is not None:
            self._paused = True
            self._origin.transport.pause_reading()
        self.deliver()

    def deliver(self) -> None:
        """Hand over what is due."""
        target, loop = self._target, asyncio.get_running_loop()
        while self.queue and target.transport is not None and not target.full:
            due, data = self.queue[0]
            if due > loop.time() + 0.0005:
                if self._timer is None:
                    self._timer = loop.call_at(due, self._due)
                return
            self.queue.popleft()
            if data is None:
                self.over = True
                if target.transport.can_write_eof():
                    target.transport.write_eof()
                if self._origin.connection is not None:
                    self._origin.connection.settle()
            else:
                self._queued -= len(data)
                target.transport.write(data)
        if self._paused and self._queued < _MOST_QUEUED // 2 and self._origin.transport is not None:
            self._paused = False
            self._origin.transport.resume_reading()

    def _due(self) -> None:
        """The timer's part. That it has run is noted, not asked of it: its own time and the loop's differ by a hair."""
        self._timer = None
        self.deliver()

    def stop(self) -> None:
        """Nothing arrives any longer."""
        self.over = True
        self.queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _original(raw: bytes) -> Address:
    """The address in a ``sockaddr_in``."""
    return socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4], "big")
