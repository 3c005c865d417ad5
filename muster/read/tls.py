"""What a TLS port negotiates, asked by clients that offer post-quantum and classical key exchange, or classical only.

pyOpenSSL, because its OpenSSL knows X25519MLKEM768 and names the group; the interpreter's own may not. The peer is not
authenticated: the question is which key exchange it picks, and nothing is sent to it.
"""

from __future__ import annotations

import re
import select
import socket
import time
from typing import Any

from muster.read.failures import ReadError
from muster.snapshot import FailureKind

# Every classical group of TLS 1.3 (RFC 8446, 4.2.7) that OpenSSL has by default; none of them is post-quantum.
CLASSICAL = ("x25519", "secp256r1", "x448", "secp384r1", "secp521r1")
_CODES = {0x0017: "secp256r1", 0x0018: "secp384r1", 0x0019: "secp521r1", 0x001D: "x25519", 0x001E: "x448"}
_SUPPORTED_GROUPS = 0x000A
# How a peer says no to what was offered; anything else is a handshake that failed for another reason.
_NO = re.compile(r"alert handshake failure|alert insufficient security|alert protocol version", re.IGNORECASE)


def negotiate(host: str, port: int, timeout_s: float) -> dict[str, Any]:
    """One handshake that offers both kinds: what was agreed upon, and until when the certificate lasts.

    ``{"group": "X25519MLKEM768", "version": "TLSv1.3", "subject": "CN=...", "not_after": epoch seconds}``. Blocks at
    most ``timeout_s``. Raises OSError when the port cannot be reached, and ReadError when TLS itself fails or hangs.
    """
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)  # OpenSSL's own list: X25519MLKEM768 first, then the classical ones
    context.set_verify(SSL.VERIFY_NONE)
    connection = _handshake(context, host, port, timeout_s)
    return {**_agreed(connection), **_certificate(connection)}


def downgrade(host: str, port: int, timeout_s: float) -> dict[str, Any]:
    """One handshake that offers classical groups only: whether the port refuses it.

    ``{"offered": [group, ...], "refused": True, "said": "..."}`` when the peer says no, ``"refused": False`` with group
    and version when it agrees. ``offered`` is read from the message that was really sent. Raises as :func:`negotiate`;
    a peer that breaks off without a word has not refused, and is a failure.
    """
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    # pyOpenSSL sets one curve only in public (set_tmp_ecdh); this is OpenSSL's own function behind it.
    if SSL._lib.SSL_CTX_set1_curves_list(context._context, ":".join(CLASSICAL).encode()) != 1:  # noqa: SLF001
        raise ReadError(FailureKind.TLS, f"this OpenSSL does not offer {', '.join(CLASSICAL)}")
    offered = offered_groups(context)
    if strange := [group for group in offered if group not in CLASSICAL]:
        raise ReadError(FailureKind.TLS, f"this OpenSSL offers {', '.join(strange)} though only classical was asked")
    try:
        connection = _handshake(context, host, port, timeout_s)
    except ReadError as error:
        if error.failure.kind is FailureKind.TLS and _NO.search(error.failure.message):
            return {"offered": offered, "refused": True, "said": error.failure.message.rpartition(": ")[2]}
        raise
    return {"offered": offered, "refused": False, **_agreed(connection)}


def offered_groups(context: Any) -> list[str]:
    """The groups in the ClientHello that this context sends, read from its bytes; unknown ones as ``0x11ec``."""
    from OpenSSL import SSL

    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        hello = connection.bio_read(16 * 1024)
    return [_CODES.get(code, f"0x{code:04x}") for code in _groups_of(hello)]


def _groups_of(record: bytes) -> list[int]:
    """The codes in ``supported_groups`` of a TLS record that holds a ClientHello (RFC 8446, 4.1.2)."""
    at = 5 + 4 + 2 + 32  # record, message, version, random
    at += 1 + record[at]  # session
    at += 2 + int.from_bytes(record[at : at + 2])  # cipher suites
    at += 1 + record[at]  # compression
    end = at + 2 + int.from_bytes(record[at : at + 2])
    at += 2
    while at < end:
        kind, length = int.from_bytes(record[at : at + 2]), int.from_bytes(record[at + 2 : at + 4])
        if kind == _SUPPORTED_GROUPS:
            body = record[at + 6 : at + 4 + length]
            return [int.from_bytes(body[index : index + 2]) for index in range(0, len(body), 2)]
        at += 4 + length
    return []


def _handshake(context: Any, host: str, port: int, timeout_s: float) -> Any:
    """The connection after its handshake; its socket is closed, what was agreed upon is still known."""
    from OpenSSL import SSL

    deadline = time.monotonic() + timeout_s
    where = f"{host}:{port}"
    with socket.create_connection((host, port), timeout_s) as sock:
        sock.setblocking(False)
        connection = SSL.Connection(context, sock)
        connection.set_connect_state()
        while True:
            try:
                connection.do_handshake()
            except SSL.WantReadError:
                _wait(sock, deadline, where, write=False)
            except SSL.WantWriteError:
                _wait(sock, deadline, where, write=True)
            except (SSL.SysCallError, SSL.ZeroReturnError):
                raise ReadError(FailureKind.TLS, f"{where} closed the connection in the TLS handshake") from None
            except SSL.Error as error:
                raise ReadError(FailureKind.TLS, f"{where}: TLS handshake failed: {_reason(error)}") from None
            else:
                return connection


def _agreed(connection: Any) -> dict[str, str]:
    return {"group": connection.get_group_name() or "none", "version": connection.get_protocol_version_name()}


def _certificate(connection: Any) -> dict[str, Any]:
    peer = connection.get_peer_certificate(as_cryptography=True)
    if peer is None:
        return {"subject": "", "not_after": None}
    return {"subject": peer.subject.rfc4514_string(), "not_after": peer.not_valid_after_utc.timestamp()}


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
