"""A mail server that delivers to the inbox: SMTP with STARTTLS and, after it, AUTH.

Mail is taken without authentication, too, as a relay inside a house does; whoever authenticates does it right.
"""

from __future__ import annotations

import email
import email.policy
import hmac
import re
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from lab.sink import notices
from lab.sink.inbox import Message

LARGEST_MAIL = 512 * 1024
_TAGS = re.compile(r"<[^>]*>")


def protocol(state: Path, deliver: Callable[[Message], None]) -> Callable[[], SMTP]:
    """Makes the protocol of one connection, for ``loop.create_server``.

    The certificate is the lab's own (``state/pki``; without one there is neither STARTTLS nor AUTH), the password that
    of ``state/smtp-password``, whatever the user's name.
    """
    certificate, key = state / "pki" / "api.crt", state / "pki" / "api.key"
    tls = None
    if certificate.is_file():
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)

    def authenticate(_server: SMTP, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        password = (state / "smtp-password").read_bytes().strip()
        good = isinstance(given, LoginPassword) and hmac.compare_digest(given.password, password)
        return AuthResult(success=good, handled=False)  # the library says 535

    return lambda: SMTP(
        _Handler(deliver),
        hostname="mail.lab",
        ident="lab",
        data_size_limit=LARGEST_MAIL,
        enable_SMTPUTF8=True,
        tls_context=tls,
        authenticator=authenticate,
        auth_exclude_mechanism=["LOGIN"],  # its prompts were never agreed on, and Alertmanager expects others
        timeout=30,
    )


class _Handler:
    """What aiosmtpd calls when a mail has come in whole."""

    def __init__(self, deliver: Callable[[Message], None]) -> None:
        self._deliver = deliver

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - its name
        """Deliver to every recipient; accepted means kept."""
        for message in accept(envelope.rcpt_tos, envelope.content or b""):
            self._deliver(message)
        return "250 2.0.0 OK: in the inbox"


def accept(recipients: list[str], content: bytes | str) -> list[Message]:
    """One message for each recipient of the envelope. Any bytes are a mail, perhaps one without subject."""
    raw = content if isinstance(content, bytes) else content.encode()
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    subject, plain, html = str(mail["subject"] or ""), _part(mail, "plain"), _part(mail, "html")
    text = plain or _TAGS.sub(" ", html)
    body = {"from": str(mail["from"] or ""), "subject": subject, "text": text}
    return [
        Message(
            received_at=time.time(),
            channel="email",
            to=recipient,
            action=notices.action(subject),
            alert=notices.alert(plain, _TAGS.sub(" ", html), subject),
            summary=subject or next(iter(text.split("\n")), ""),
            body=body,
        )
        for recipient in recipients
    ]


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    if part is None:
        return ""
    raw = part.get_payload(decode=True)
    try:
        text = raw.decode(part.get_content_charset("utf-8"), "replace") if isinstance(raw, bytes) else str(raw)
    except LookupError:  # a charset that nobody knows
        text = str(part.get_payload())
    return text.replace("\r\n", "\n").strip()
