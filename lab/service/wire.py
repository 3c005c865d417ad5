"""TLS 1.3 on the mesh port with a key exchange that is chosen, not negotiated down.

pyOpenSSL, because its OpenSSL knows X25519MLKEM768 and the interpreter's own may not. Sockets are non-blocking under
a deadline, so that a silent peer costs a second and never a thread.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from OpenSSL import SSL

POST_QUANTUM = "X25519MLKEM768"
CLASSICAL = "x25519"
MESSAGE_LIMIT = 4096
# X509_V_ERR_* of OpenSSL's x509_vfy.h: what is wrong with a certificate.
_OUT_OF_TIME = {9: "its certificate is not valid yet", 10: "its certificate has expired"}
_SELF_SIGNED = {18, 19, 20, 21}  # self-signed, or signed by somebody unknown


class WireLost(Exception):  # noqa: N818 - an event on the network, not a mistake
    """The peer could not be reached, went away or kept silent: nothing about cryptography."""


class HandshakeRefused(Exception):  # noqa: N818 - the peer's decision
    """Both sides were there and found no TLS in common."""


def context(group: str, certificate: Path | None = None, key: Path | None = None) -> Any:
    """A TLS 1.3 context that offers and accepts ``group`` only, with a certificate for the server's end.

    Who answers is not authenticated, each replica signs its own certificate; but it must be in its time.
    """
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(SSL.TLS1_3_VERSION)
    # pyOpenSSL has no public setter for hybrid groups (set_tmp_ecdh takes curves); this is OpenSSL's own.
    if SSL._lib.SSL_CTX_set1_curves_list(made._context, group.encode()) != 1:  # noqa: SLF001
        raise RuntimeError(f"this OpenSSL does not know the group {group}")
    if certificate and key:
        made.use_certificate_chain_file(str(certificate))
        made.use_privatekey_file(str(key))
    else:
        made.set_verify(SSL.VERIFY_PEER, _judge)
    return made


def _judge(connection: Any, _certificate: Any, error: int, _depth: int, ok: int) -> bool:
    """Peers sign their own certificates, which is no objection; one out of its time is."""
    if error in _OUT_OF_TIME:
        connection.set_app_data(_OUT_OF_TIME[error])
        return False
    return bool(ok) or error in _SELF_SIGNED


class Channel:
    """One TLS connection over a connected socket that this object now owns. Use it as a context manager."""

    def __init__(self, tls: Any, sock: socket.socket, timeout_s: float) -> None:
        sock.setblocking(False)
        self._sock, self._deadline = sock, time.monotonic() + timeout_s
        self._tls = SSL.Connection(tls, sock)
        self._poll = select.poll()

    def shake(self, *, server: bool) -> float:
        """Do the handshake; returns its seconds. Raises :class:`WireLost` or :class:`HandshakeRefused`."""
        (self._tls.set_accept_state if server else self._tls.set_connect_state)()
        started = time.perf_counter()
        self._do(self._tls.do_handshake)
        return time.perf_counter() - started

    @property
    def group(self) -> str:
        """The key exchange that was really used."""
        return str(self._tls.get_group_name())

    def send_line(self, line: bytes) -> None:
        """Send one message (under 4 KiB: one TLS record, sent whole or not at all)."""
        self._do(self._tls.send, line + b"\n")

    def receive_line(self) -> bytes:
        """One message of at most 4 KiB, without its line end."""
        data = b""
        while not data.endswith(b"\n"):
            data += self._do(self._tls.recv, MESSAGE_LIMIT)
            if len(data) > MESSAGE_LIMIT:
                raise WireLost("message over 4 KiB")
        return data[:-1]

    def _do(self, operation: Callable[..., Any], *args: Any) -> Any:
        while True:
            try:
                return operation(*args)
            except SSL.WantReadError:
                self._await(select.POLLIN)
            except SSL.WantWriteError:
                self._await(select.POLLOUT)
            except (SSL.ZeroReturnError, SSL.SysCallError, OSError) as error:
                raise WireLost(str(error) or "closed by the peer") from None
            except SSL.Error as error:
                reasons = [entry[-1] for entry in error.args[0]] if error.args and error.args[0] else []
                if not reasons or "unexpected eof while reading" in reasons:
                    raise WireLost("closed by the peer") from None
                raise HandshakeRefused(self._tls.get_app_data() or ", ".join(reasons)) from None

    def _await(self, event: int) -> None:
        left_s = self._deadline - time.monotonic()
        self._poll.register(self._sock, event)
        if left_s <= 0 or not self._poll.poll(left_s * 1000):
            raise WireLost("timed out")

    def close(self) -> None:
        """Say goodbye if that costs nothing, and close the socket."""
        with contextlib.suppress(SSL.Error):  # nobody to say it to: the handshake never ended, or the peer left first
            self._tls.shutdown()
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
