"""Bytes to and from a server over one connection, on gevent's event loop without gevent's sockets.

gevent's socket tries to read, fails, starts a watcher, waits, stops the watcher and reads again. Here the watcher for
readability stays on as long as the connection: one send, one switch to the loop and back, one receive for a request.
The same watcher sees a server that hangs up, or talks out of turn, while no request is under way.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from typing import Any

from gevent import get_hub, getcurrent, monkey

from .endpoint import Endpoint
from .errors import ConnectTimeout, Desync, WireError
from .trouble import connecting_failed

_PIECE = 65_536  # bytes to receive at once
_READ, _WRITE = 1, 2  # libev's event masks
_READABLE, _WRITABLE, _TIME_UP = object(), object(), object()  # what a waiting greenlet is woken with

_socket = monkey.get_original("socket", "socket")  # gevent's would add its own waiting to ours
clock = time.perf_counter


class Closed(Exception):  # noqa: N818 - what it means depends on when
    """The connection is at its end: closed by the server, or broken (``error``)."""

    def __init__(self, error: OSError | None = None) -> None:
        super().__init__(str(error or "closed by the server"))
        self.error = error


class TimeUp(Exception):  # noqa: N818
    """What was waited for did not happen before the deadline."""


class Stream:
    """One connection at a time to an endpoint, used by one greenlet at a time.

    ``deadline`` bounds every wait, in seconds of :data:`clock`; whoever asks for something sets it first.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.deadline = 0.0
        self.is_open = False
        self._endpoint = endpoint
        self._leave: Callable[[], object] = get_hub().switch
        self._loop = get_hub().loop
        self._socket: Any = None
        self._watcher: Any = None
        self._timer: Any = None
        self._waiter: Any = None  # the greenlet that waits, if one does
        self._out_of_turn: Desync | None = None  # what came while no request was under way

    def open(self) -> None:
        """Connect to the first address that takes it.

        Raises:
            WireError: None did; the class says why the last one did not.
        """
        endpoint = self._endpoint
        self._stop_timer()  # it stands for another deadline
        self.deadline = clock() + endpoint.connect_timeout_s
        *others, last = endpoint.addresses()
        for family, address in others:
            try:
                self._open_at(family, address)
            except WireError:
                self.close()
            else:
                return
        self._open_at(*last)

    def send(self, data: bytes) -> bool:
        """Send all of it; False if the server answered first, or hung up: there may still be an answer to read."""
        return self._send_raw(data)

    def receive(self) -> bytes:
        """The next bytes. Raises :class:`Closed` at the end, :class:`TimeUp` after the deadline."""
        return self._receive_raw()

    def settle(self) -> None:
        """Before a request: raise :class:`~errors.Desync`, once, if the server sent bytes while none was under way."""
        if self._out_of_turn is not None:
            error, self._out_of_turn = self._out_of_turn, None
            raise error

    def close(self) -> None:
        """Close the connection, if there is one."""
        self.is_open = False
        self._stop_timer()
        if self._watcher is not None:  # before its descriptor: that may be somebody else's in a moment
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # What a stream with TLS adds.

    def _secure(self) -> None:
        """Make the session on a new connection; without TLS there is none."""

    def _may_pass(self, data: bytes) -> bool:
        """Whether bytes that came while no request was under way are in order (TLS has some of its own)."""
        return False

    # Connecting.

    def _open_at(self, family: int, address: Any) -> None:
        endpoint = self._endpoint
        try:
            self._connect(family, address)
            self._secure()
        except TimeUp as error:
            raise ConnectTimeout(
                f"no connection to {endpoint.where} within {endpoint.connect_timeout_s:g} s"
            ) from error
        self._stop_timer()
        self.is_open = True
        endpoint.counters.connected += 1

    def _connect(self, family: int, address: Any) -> None:
        where = self._endpoint.where
        try:
            self._socket = _socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise connecting_failed(error.errno or 0, where) from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = self._socket.connect_ex(address)
        if number == errno.EINPROGRESS:
            with self._watching_writable():
                self._wait()
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise connecting_failed(number, where)
        self._watcher = self._loop.io(self._socket.fileno(), _READ)
        self._watcher.start(self._on_readable)

    # Sending and receiving.

    def _send_raw(self, data: bytes) -> bool:
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except (BrokenPipeError, ConnectionResetError):
            return False
        return sent == len(data) or self._send_rest(memoryview(data)[sent:])

    def _send_rest(self, rest: memoryview) -> bool:
        with self._watching_writable():
            while rest:
                if self._wait() is _READABLE:
                    return False
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    continue
                except (BrokenPipeError, ConnectionResetError):
                    return False
        return True

    def _receive_raw(self) -> bytes:
        while True:
            self._wait()
            try:
                data: bytes = self._socket.recv(_PIECE)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Closed(error) from error
            if not data:
                raise Closed
            return data

    def _wait(self) -> object:
        """Leave this greenlet until something happens: says what. Raises :class:`TimeUp`."""
        if self._timer is None:
            self._start_timer()
        self._waiter = getcurrent()
        try:
            token = self._leave()
        finally:
            self._waiter = None
        if token is _TIME_UP:
            raise TimeUp
        if token is not _READABLE and token is not _WRITABLE:
            raise RuntimeError(f"the greenlet of a connection was woken by somebody else, with {token!r}")
        return token

    def _wake(self, token: object) -> None:
        waiter, self._waiter = self._waiter, None
        waiter.switch(token)

    def _on_readable(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.switch(_READABLE)
            return
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:  # a reset while idle is a closing like any other
            data = b""
        if data and self._may_pass(data):
            return
        if data:
            self._out_of_turn = Desync(f"{self._endpoint.where} sent bytes while no request was under way")
        self.close()

    # One timer for each connection: it is moved on when it fires, not with each request.

    def _start_timer(self) -> None:
        self._timer = self._loop.timer(max(0.001, self.deadline - clock()))
        self._timer.start(self._on_timer, update=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def _on_timer(self) -> None:
        self._stop_timer()
        if self._waiter is None:
            return
        if clock() < self.deadline:
            self._start_timer()
        else:
            self._wake(_TIME_UP)

    def _watching_writable(self) -> _Watching:
        return _Watching(self._loop.io(self._socket.fileno(), _WRITE), self._on_writable)

    def _on_writable(self) -> None:
        if self._waiter is not None:
            self._wake(_WRITABLE)


class _Watching:
    """A watcher that is on within a ``with`` block."""

    def __init__(self, watcher: Any, callback: Callable[[], None]) -> None:
        self._watcher, self._callback = watcher, callback

    def __enter__(self) -> None:
        self._watcher.start(self._callback)

    def __exit__(self, *_: object) -> None:
        self._watcher.stop()
        self._watcher.close()
