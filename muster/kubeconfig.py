"""A plain kubeconfig, read without the official client: importing that costs every command a quarter of a second.

Plain is what names a server, a CA, and a token or the files of a client certificate, as service accounts and the lab
have it. All else, and all that is not as it should be, is left to the official loader and its messages.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from muster.plain_yaml import read_yaml
from muster.system.fill import at_home

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


def files_of(kubeconfig: Path | str) -> list[Path]:
    """The files that a kubeconfig's path means: one, or what is there of a list as KUBECONFIG holds it."""
    whole = Path(kubeconfig)
    if whole.is_file():
        return [whole]
    named = [at_home(part) for part in str(kubeconfig).split(os.pathsep) if part]
    return [file for file in named if file.is_file()]


@dataclass(frozen=True)
class Merged:
    """Several kubeconfigs as kubectl reads them: of each name, and of what is there once, the first file's counts."""

    files: Sequence[tuple[Path, dict[str, Any]]]

    @classmethod
    def read(cls, files: Sequence[Path]) -> Merged:
        """Raises OSError and yaml.YAMLError for a file that cannot be read, TypeError for one that is no mapping."""
        return cls([(file, {**read_yaml(file.read_bytes())}) for file in files])

    @property
    def context(self) -> str:
        """The current context. Raises KeyError when none is set."""
        named = [str(config["current-context"]) for _, config in self.files if config.get("current-context")]
        if not named:
            raise KeyError("current-context")
        return named[0]

    def named(self, kind: str, name: str) -> tuple[dict[str, Any], Path]:
        """The entry, and the folder that its paths start from. Raises KeyError, ValueError for one written twice."""
        for file, config in self.files:
            found = [entry for entry in config.get(kind) or [] if entry["name"] == name]
            if found:
                (entry,) = found
                return entry, file.parent
        raise KeyError(name)


def current_context(files: Sequence[Path]) -> str | None:
    """The one that counts; None where none can be told: the official loader has the sentence for that."""
    try:
        return Merged.read(files).context
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None


def read_plain(files: Sequence[Path], context: str | None) -> Plain | None:
    """What this context says, or None where it is not plain: then the official loader is to be asked."""
    try:
        config = Merged.read(files)
        chosen = config.named("contexts", context or config.context)[0]["context"]
        named, folder = config.named("clusters", chosen["cluster"])
        entry, beside = config.named("users", chosen["user"])
        cluster, user = named["cluster"], entry["user"] or {}
        if set(cluster) - _CLUSTER or set(user) - _USER or ("client-certificate" in user) != ("client-key" in user):
            return None
        return Plain(
            server=_address(cluster["server"]),
            token=_token(user, beside),
            ca=_ca(cluster, folder),
            verify=not cluster.get("insecure-skip-tls-verify", False),
            certificate_file=_beside(user.get("client-certificate", ""), beside),
            key_file=_beside(user.get("client-key", ""), beside),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        return None


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
