"""What a TLS port negotiates, asked by a client that offers post-quantum and classical key exchange alike.

pyOpenSSL, because its OpenSSL knows X25519MLKEM768 and names the group; the interpreter's own may not. The peer is not
authenticated: the question is which key exchange it picks, and nothing is sent to it.
"""

from __future__ import annotations

import select
import socket
import time

from muster.read.failures import ReadError
from muster.snapshot import FailureKind


def negotiate(host: str, port: int, timeout_s: float) -> dict[str, str]:
    """One handshake: ``{"group": "X25519MLKEM768", "version": "TLSv1.3"}``. Blocks at most ``timeout_s``.

    Raises OSError when the port cannot be reached, TimeoutError, and ReadError when TLS itself fails.
    """
    from OpenSSL import SSL

    deadline = time.monotonic() + timeout_s
    where = f"{host}:{port}"
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)  # OpenSSL's own list: X25519MLKEM768 first, then the classical ones
    context.set_verify(SSL.VERIFY_NONE)
    with socket.create_connection((host, port), timeout_s) as sock:
        sock.setblocking(False)
        connection = SSL.Connection(context, sock)
        connection.set_connect_state()
        while True:
            try:
                connection.do_handshake()
                break
            except SSL.WantReadError:
                _wait(sock, deadline, where, write=False)
            except SSL.WantWriteError:
                _wait(sock, deadline, where, write=True)
            except (SSL.SysCallError, SSL.ZeroReturnError):
                raise ReadError(FailureKind.TLS, f"{where} closed the connection in the TLS handshake") from None
            except SSL.Error as error:
                raise ReadError(FailureKind.TLS, f"{where}: TLS handshake failed: {_reason(error)}") from None
        return {
            "group": connection.get_group_name() or "none",
            "version": connection.get_protocol_version_name(),
        }


def _wait(sock: socket.socket, deadline: float, where: str, *, write: bool) -> None:
    left = deadline - time.monotonic()
    poll = select.poll()
    poll.register(sock, select.POLLOUT if write else select.POLLIN)
    if left <= 0 or not poll.poll(left * 1000):
        raise ReadError(FailureKind.TIMEOUT, f"{where} did not finish its TLS handshake in time")


def _reason(error: Exception) -> str:
    """OpenSSL's own words: the last of its (library, function, reason) entries."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(entries[-1][-1]) if entries else str(error) or type(error).__name__
