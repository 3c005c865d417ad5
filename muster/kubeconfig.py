"""A plain kubeconfig, read without the official client: importing that costs every command a quarter of a second.

Plain is what names a server, a CA, and a token or the files of a client certificate, as service accounts and the lab
have it. All else, and all that is not as it should be, is left to the official loader and its messages.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from muster.plain_yaml import read_yaml

_CLUSTER = {"server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify", "extensions"}
_USER = {"token", "tokenFile", "client-certificate", "client-key"}


@dataclass(frozen=True, kw_only=True)
class Plain:
    """One context's server and credentials: ``ca`` is PEM text ("" for the machine's own), paths are absolute or ""."""

    server: str
    token: str
    ca: str
    verify: bool
    certificate_file: str
    key_file: str


def read_plain(path: Path, context: str | None) -> Plain | None:
    """What this context says, or None where it is not plain: then the official loader is to be asked."""
    try:
        config = read_yaml(path.read_bytes())
        chosen = _named(config["contexts"], context or config["current-context"])["context"]
        cluster = _named(config["clusters"], chosen["cluster"])["cluster"]
        user = _named(config["users"], chosen["user"])["user"] or {}
        if set(cluster) - _CLUSTER or set(user) - _USER or ("client-certificate" in user) != ("client-key" in user):
            return None
        return Plain(
            server=_address(cluster["server"]),
            token=_token(user, path.parent),
            ca=_ca(cluster, path.parent),
            verify=not cluster.get("insecure-skip-tls-verify", False),
            certificate_file=_beside(user.get("client-certificate", ""), path.parent),
            key_file=_beside(user.get("client-key", ""), path.parent),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        return None


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in entries if entry["name"] == name]
    return found


def _address(server: str) -> str:
    if not server.startswith(("https://", "http://")):
        raise ValueError(server)
    return server.rstrip("/")


def _token(user: dict[str, Any], folder: Path) -> str:
    """A file, which may have been renewed since, outranks a token that is written down; so kubectl has it."""
    if file := user.get("tokenFile"):
        return Path(_beside(file, folder)).read_text(encoding="utf-8").strip()
    token = user.get("token", "")
    if not isinstance(token, str):
        raise TypeError(token)
    return token


def _ca(cluster: dict[str, Any], folder: Path) -> str:
    """The CA as PEM; data outrank a file, as in kubectl."""
    if data := cluster.get("certificate-authority-data"):
        return base64.b64decode(data, validate=True).decode("ascii")
    file = cluster.get("certificate-authority", "")
    return Path(_beside(file, folder)).read_text(encoding="ascii") if file else ""


def _beside(file: str, folder: Path) -> str:
    """A path in a kubeconfig is relative to the kubeconfig."""
    return str((folder / file).absolute()) if file else ""
