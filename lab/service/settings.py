"""What a replica is told by its environment, read and validated once at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LONGEST_S = 1e9  # thirty years


class SettingsError(Exception):
    """The environment cannot be used; the message is one sentence for the log."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another replica: its pod name (its address where no name is known) and where its mesh port is."""

    name: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class ApiAccess:
    """Where the Kubernetes API is and the folder of the service account (token, ca.crt, namespace)."""

    host: str
    port: int
    account: Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A replica's identity and surroundings. Times are seconds."""

    replica: str
    version: str
    address: str
    port: int
    mesh_port: int
    mesh_service: str
    static_peers: tuple[Peer, ...]
    api: ApiAccess | None
    cert_root: Path
    cert_valid_s: float
    dependencies: dict[str, tuple[str, int]]
    drain_s: float
    quiet_s: float


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    ``POD_IP``, ``PORT``, ``MESH_PORT``, ``HOSTNAME``, ``VERSION``: who and where this replica is.
    ``MESH_SERVICE`` with ``KUBERNETES_SERVICE_HOST/PORT`` and ``SERVICEACCOUNT_ROOT``: how it finds the others;
    ``MESH_PEERS`` (``[name=]ip[:port],...``) where there is no API. ``CERT_ROOT`` stands for /etc/x0tta6bl4/certs;
    ``CERT_VALID_S``: how long a certificate made there is good for.
    ``DEPENDENCIES`` (``name=host:port,...``): what else it needs. ``DRAIN_S``: the longest farewell after SIGTERM;
    ``DRAIN_QUIET_S``: how long no request must have come before it leaves.

    Raises:
        SettingsError: A value cannot be parsed.
    """
    address = environ.get("POD_IP", "127.0.0.1")
    mesh_port = _int(environ, "MESH_PORT", 9443)
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    account = environ.get("SERVICEACCOUNT_ROOT", "/var/run/secrets/kubernetes.io/serviceaccount")
    service = environ.get("MESH_SERVICE", "")
    api = None
    if host and service:
        api = ApiAccess(host=host, port=_int(environ, "KUBERNETES_SERVICE_PORT", 443), account=Path(account))
    return Settings(
        replica=environ.get("HOSTNAME", address),
        version=environ.get("VERSION", "unknown"),
        address=address,
        port=_int(environ, "PORT", 8080),
        mesh_port=mesh_port,
        mesh_service=service,
        static_peers=tuple(
            peer
            for peer in _peers(environ.get("MESH_PEERS", ""), mesh_port)
            if (peer.address, peer.port) != (address, mesh_port)
        ),
        api=api,
        cert_root=Path(environ.get("CERT_ROOT", "etc/x0tta6bl4/certs")),
        cert_valid_s=_seconds(environ, "CERT_VALID_S", 30 * 86_400.0),
        dependencies=_dependencies(environ.get("DEPENDENCIES", "")),
        drain_s=_seconds(environ, "DRAIN_S", 5.0),
        quiet_s=_seconds(environ, "DRAIN_QUIET_S", 0.5),
    )


def _int(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "")
    if text and not text.isdigit():
        raise SettingsError(f"{name}={text!r} is not a whole number")
    return int(text or default)


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        found = float(environ.get(name) or default)
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= LONGEST_S:  # nan is not, either
        raise SettingsError(f"{name}={environ[name]!r} is not a number of seconds")
    return found


def _peers(text: str, port: int) -> tuple[Peer, ...]:
    peers = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, where = entry.rpartition("=")
        address, _, own_port = where.partition(":")
        if own_port and not own_port.isdigit():
            raise SettingsError(f"MESH_PEERS: {entry!r} is not [name=]ip[:port]")
        peers.append(Peer(name=name or address, address=address, port=int(own_port or port)))
    return tuple(peers)


def _dependencies(text: str) -> dict[str, tuple[str, int]]:
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, where = entry.partition("=")
        host, _, port = where.rpartition(":")
        if not (name and host and port.isdigit()):
            raise SettingsError(f"DEPENDENCIES: {entry!r} is not name=host:port")
        found[name] = (host, int(port))
    return found
