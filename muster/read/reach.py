"""Whether whoever must be told can be reached: the pagers' own addresses, and the responder. Nobody is paged by it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from muster.read.failures import ReadError
from muster.read.session import each
from muster.snapshot import FailureKind
from muster.system.environment import Channel

if TYPE_CHECKING:
    from muster.read.session import Session

_PORTS = {"http": 80, "https": 443, "smtp": 25}


@dataclass(frozen=True)
class Pager:
    """One contact's channel, told by the contact: its address may be a secret."""

    contact: str
    channel: Channel

    def __str__(self) -> str:
        return f"the pager of {self.contact}"


async def read_pagers(session: Session) -> dict[str, Any]:
    """For each contact, how its channel's server was reached: ``{"kind", "host", "port", "how": "tcp|tls|smtp"}``.

    A connection, over TLS with the certificate judged, or a mail server's greeting: nothing is sent that could page. A
    secret address (Slack's) is read from its file, and only its host is kept.
    """

    async def reach(pager: Pager) -> dict[str, Any]:
        channel = pager.channel
        scheme, host, port = _address(channel)

        async def connect() -> str:
            return await _connect(session, scheme, host, port)

        how = await session.shared(("reach", scheme, host, port), connect)
        return {"kind": channel.kind, "host": host, "port": port, "how": how}

    contacts = session.environment.contacts
    return await each({name: Pager(name, channel) for name, channel in contacts.items()}, reach, session.deadline_s)


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
        writer.transport.abort()  # at once: nobody is waited for who does not say goodbye
