"""A server on loopback that does what it is told on each connection, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time

RESET = object()
READ = object()


class Hostile:
    """``scripts``: one for each connection, in order; the last one again for all that follow.

    A script is a list of steps: ``READ`` one request (with its body), bytes to send, seconds to wait, ``RESET`` instead
    of closing. After the last step the connection is closed. ``requests`` are the heads that came.
    """

    def __init__(self, *scripts, context: ssl.SSLContext | None = None, ragged: bool = False) -> None:
        self._scripts, self._context, self._ragged = scripts, context, ragged
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self):
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self):
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
                self._threads.append(threading.Thread(target=self._serve, args=(connection, script), daemon=True))
                self._threads[-1].start()

    def _serve(self, plain, script):
        plain.settimeout(10)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            connection = stack.enter_context(plain)
            if self._context:
                connection = stack.enter_context(self._context.wrap_socket(plain, server_side=True))
            for step in script:
                if step is READ:
                    if not self._read(connection):
                        return
                elif step is RESET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                elif isinstance(step, bytes):
                    connection.sendall(step)
                else:
                    time.sleep(step)
            if self._context and not self._ragged:
                connection.unwrap()

    def _read(self, connection):
        """One request with its body; False if the client closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(65536)):
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        self.requests.append(head)
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        left = int(lengths[0]) - len(body) if lengths else 0
        while left > 0 and (piece := connection.recv(65536)):
            left -= len(piece)
        return True
