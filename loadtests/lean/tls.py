"""A stream with TLS: the same event loop, records through memory (``ssl.MemoryBIO``), certificates verified."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from .endpoint import Endpoint
from .stream import Closed, Stream
from .trouble import broken, securing_failed

_PIECE = 65_536


class TlsStream(Stream):
    """Of an endpoint with a TLS context. The name is verified and sent (SNI), as it stands in the endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._incoming = self._outgoing = ssl.MemoryBIO()
        self._session: Any = None
        self._ended = False  # nothing more will come, though the server may wait for our closing first

    def _secure(self) -> None:
        endpoint = self._endpoint
        self._incoming, self._outgoing, self._ended = ssl.MemoryBIO(), ssl.MemoryBIO(), False
        assert endpoint.tls is not None  # noqa: S101 - whoever chose this class saw it
        self._session = endpoint.tls.wrap_bio(self._incoming, self._outgoing, server_hostname=endpoint.host)
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError as error:
                self._flush()  # the server is told why
                raise securing_failed(error, endpoint.where) from error
            else:
                self._flush()
                return
            try:
                self._incoming.write(self._receive_raw())
            except Closed as closed:
                reason = closed.error or ConnectionResetError(104, "closed")
                raise broken(reason, endpoint.where, "during the TLS handshake") from closed

    def _flush(self) -> bool:
        data = self._outgoing.read()
        return not data or self._send_raw(data)

    def settle(self) -> None:
        """As without TLS; a session that the server has ended is closed."""
        super().settle()
        if self._ended and self.is_open:
            self.close()

    def send(self, data: bytes) -> bool:
        """As without TLS: False if the server answered first, or hung up."""
        try:
            self._session.write(data)
        except ssl.SSLError as error:
            raise Closed(error) from error
        return self._flush()

    def receive(self) -> bytes:
        """As without TLS. An end without TLS's own closing is an error: somebody else may have cut the answer short."""
        while True:
            data = self._decrypted()
            self._flush()  # a key update wants an answer
            if data:
                return data
            try:
                self._incoming.write(self._receive_raw())
            except Closed as closed:
                if closed.error is not None:
                    raise
                self._incoming.write_eof()

    def _decrypted(self) -> bytes:
        """What can be read without waiting; nothing if more records are needed. Raises :class:`Closed`."""
        pieces = []
        try:
            while piece := self._session.read(_PIECE):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces)
        except ssl.SSLError as error:
            if not pieces:
                raise Closed(error) from error
        if not pieces:  # TLS's own closing was read
            raise Closed
        self._ended = True
        return b"".join(pieces)

    def _may_pass(self, data: bytes) -> bool:
        """Session tickets and key updates come when they please."""
        self._incoming.write(data)
        try:
            return not self._decrypted()
        except Closed:
            self.close()
            return True

    def close(self) -> None:
        """Close the session, as far as that takes no waiting, and the connection."""
        if self.is_open:
            with contextlib.suppress(ssl.SSLError, OSError):
                self._session.unwrap()  # leaves TLS's own closing to be sent, and does not wait for the server's
            with contextlib.suppress(OSError):
                self._socket.send(self._outgoing.read())
        super().close()
