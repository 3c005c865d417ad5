"""Reads a kubeconfig: where the API server is, and how to prove who we are."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError


@dataclass(frozen=True)
class Access:
    """A server's address, the TLS context to reach it and the bearer token, if any. ``repr`` never shows the token."""

    server: str
    tls: ssl.SSLContext | None
    _token: str = ""
    _token_file: Path | None = None

    def __repr__(self) -> str:
        return f"Access(server={self.server!r})"

    def token(self) -> str:
        """The bearer token; a token file is read each time, because service account tokens are rotated."""
        return self._token_file.read_text().strip() if self._token_file else self._token


def load(kubeconfig: Path | str, context: str | None = None) -> Access:
    """Read the named or current context of a kubeconfig. Raises :class:`LabError` with what is wrong with it."""
    path = Path(kubeconfig)
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise LabError(f"kubeconfig {path} cannot be read: {error}") from None
    try:
        chosen = _named(config, "contexts", context or config["current-context"])["context"]
        cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
        user = _named(config, "users", chosen["user"])["user"] or {} if chosen.get("user") else {}
        if "exec" in user or "auth-provider" in user:
            raise LabError(f"kubeconfig {path} authenticates through a plugin, which the lab does not run; use a token")
        server = str(cluster["server"]).rstrip("/")
        token_file = user.get("tokenFile")
        return Access(
            server=server,
            tls=_tls(cluster, user, path.parent) if server.startswith("https:") else None,
            _token=str(user.get("token") or ""),
            _token_file=path.parent / token_file if token_file else None,
        )
    except (KeyError, TypeError, ValueError, OSError, ssl.SSLError) as error:
        raise LabError(f"kubeconfig {path} cannot be used: {type(error).__name__} {error}") from None


def _named(config: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in config[section]:
        if entry["name"] == name:
            return dict(entry)
    raise LabError(f"kubeconfig has no {section} entry named {name!r}")


def _tls(cluster: dict[str, Any], user: dict[str, Any], base: Path) -> ssl.SSLContext:
    with _material(cluster, "certificate-authority", base) as ca:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with _material(user, "client-certificate", base) as cert, _material(user, "client-key", base) as key:
        if cert:
            context.load_cert_chain(cert, key)
    return context


@contextmanager
def _material(section: dict[str, Any], key: str, base: Path) -> Iterator[Path | None]:
    """The file behind ``key`` or ``key-data``; inline data exists as a private file only while it is being loaded."""
    if section.get(key):
        yield base / section[key]
        return
    if not section.get(f"{key}-data"):
        yield None
        return
    try:
        data = base64.b64decode(section[f"{key}-data"], validate=True)
    except binascii.Error as error:
        raise LabError(f"kubeconfig's {key}-data is not base64: {error}") from None
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield Path(file.name)
