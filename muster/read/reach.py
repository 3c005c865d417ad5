"""Whether whoever must be told can be reached: the pagers' own addresses, and the responder. Nobody is paged by it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from muster.read.failures import ReadError
from muster.read.session import each
from muster.snapshot import FailureKind

if TYPE_CHECKING:
    from muster.read.session import Session
    from muster.system.environment import Channel

_PORTS = {"http": 80, "https": 443, "smtp": 25}


async def read_pagers(session: Session) -> dict[str, Any]:
    """For each contact, how its channel's server was reached: ``{"kind", "host", "port", "how": "tcp|tls|smtp"}``.

    A connection, over TLS with the certificate judged, or a mail server's greeting: nothing is sent that could page. A
    secret address (Slack's) is read from its file, and only its host is kept.
    """

    async def reach(channel: Channel) -> dict[str, Any]:
        scheme, host, port = _address(channel)

        async def connect() -> str:
            return await _connect(session, scheme, host, port)

        how = await session.shared(("reach", scheme, host, port), connect)
        return {"kind": channel.kind, "host": host, "port": port, "how": how}

    return await each(session.environment.contacts, reach, session.deadline_s)


async def read_responder(session: Session) -> dict[str, Any]:
    """``/healthz`` of the responder: ``{"status_code"}``."""
    status, _ = await session.http.get(f"{session.environment.responder.rstrip('/')}/healthz")
    return {"status_code": status}


def _address(channel: Channel) -> tuple[str, str, int]:
    url = channel.url
    if channel.kind == "slack":
        try:
            url = Path(channel.secret_file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            message = f"{channel.secret_file}, which holds the address of {channel.to}, cannot be read: {reason}"
            raise ReadError(FailureKind.UNREACHABLE, message) from None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        host = port = None
    if not host or not port:
        # Not the address itself: it may be the secret.
        raise ReadError(FailureKind.UNREACHABLE, f"the channel of kind {channel.kind} has no address to connect to")
    return parts.scheme, host, port


async def _connect(session: Session, scheme: str, host: str, port: int) -> str:
    where = f"{host}:{port}"
    trust = session.http.trust() if scheme == "https" else None
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=trust)
    except ssl.SSLCertVerificationError as error:
        message = f"{where} is not trusted over TLS: {error.verify_message}"
        raise ReadError(FailureKind.TLS, message) from None
    except ConnectionRefusedError:
        raise ReadError(FailureKind.REFUSED, f"{where} refuses connections") from None
    except OSError as error:
        raise ReadError(FailureKind.UNREACHABLE, f"{where}: {error.strerror or error}") from None
    try:
        if scheme != "smtp":
            return "tls" if trust else "tcp"
        greeting = await reader.readline()
        if not greeting.startswith(b"220"):
            said = greeting[:80].decode("ascii", "replace").strip()
            raise ReadError(FailureKind.UNPARSEABLE, f"{where} greets with {said!r}, not as a mail server does")
        writer.write(b"QUIT\r\n")
        await writer.drain()
        return "smtp"
    finally:
        writer.close()
