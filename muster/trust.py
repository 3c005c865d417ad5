"""Whom an environment's sources believe, and who is believed: bearer tokens and certificate authorities."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal

from muster.errors import MusterError, Unknown
from muster.system import Environment

Source = Literal["http", "prometheus", "alertmanager", "responder"]


def bearer(env: Environment, source: Source) -> dict[str, str]:
    """The header with the token that a source wants, read at each request: one that was renewed is used.

    Empty where it wants none. Raises :class:`~muster.errors.Unknown` for a file that cannot be read.
    """
    file = env.audit_token_file if source == "responder" else env.token_files.get(source)
    if not file:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(file).read_text(encoding='ascii').strip()}"}
    except (OSError, ValueError) as error:
        raise Unknown(f"token file {file} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def trust_of(env: Environment) -> ssl.SSLContext | bool:
    """The system's own authorities and the environment's; plain HTTP needs none, and building one takes 20 ms."""
    if not any(
        url.startswith("https:") for url in (env.http, env.prometheus, env.alertmanager, env.inbox, env.responder)
    ):
        return False
    return authorities(env.ca_file)


def authorities(ca_file: str | None) -> ssl.SSLContext:
    """The system's own authorities and a file's. Raises :class:`~muster.errors.MusterError`: it cannot be used."""
    trust = ssl.create_default_context()
    if ca_file:
        try:
            trust.load_verify_locations(ca_file)
        except OSError as error:
            reason = error.strerror or "it holds no certificate"
            raise MusterError(f"ca_file {ca_file} cannot be used: {reason}") from None
    return trust
