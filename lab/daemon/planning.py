"""The plan: every address, key and token of a lab, fixed before anything is started."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import socket
from pathlib import Path

from lab.daemon import control, records
from lab.daemon.folder import Folder, read_json, write_private
from lab.daemon.prometheus import discovery_s, whole
from lab.errors import LabError

SCHEMA = "lab/endpoints/v1"
CONTACTS = ("on-call", "senior", "team-lead", "security", "cto", "engineering-lead")
PORTS = ("api", "ingress", "prometheus", "alertmanager", "sink", "responder", "kube_state_metrics", "smtp", "kubelet")
# Below Linux's ephemeral range, so that no outgoing connection borrows a planned port before its owner binds it.
_FIRST_PORT, _LAST_PORT, _BLOCK = 20_000, 32_700, 10


def plan(state: Path, time_scale: int = 60) -> dict[str, str]:
    """Choose free ports, make keys and tokens, write ``plan.json``; return its addresses (``lab/endpoints/v1``).

    While the lab runs its plan stands and is returned as it is. Raises :class:`LabError`.
    """
    if time_scale < 1:
        raise LabError(f"a time scale of {time_scale} would slow the lab down; 1 is real time, 60 the default")
    folder = Folder.claim(state)
    standing = read_json(folder.plan)
    if standing is not None and daemon_runs(folder):
        return {str(key): str(value) for key, value in standing.items()}
    try:
        return _make(folder, time_scale)
    except OSError as error:
        raise LabError(f"the lab cannot be planned in {folder.root}: {error.strerror}") from None


def daemon_runs(folder: Folder) -> bool:
    """Whether this folder's daemon is alive (not: whether its world is healthy)."""
    record = records.read(folder.records / f"{control.DAEMON}.json")
    return record is not None and record.process() is not None


def _make(folder: Folder, time_scale: int) -> dict[str, str]:
    from lab.api import pki

    shutil.rmtree(folder.config, ignore_errors=True)  # rules of an earlier lab, rendered for other addresses
    ports = free_ports(folder.root)
    addresses = {
        "schema": SCHEMA,
        "state": str(folder.root),
        "kubeconfig": str(folder.kubeconfig),
        **{name: f"http://127.0.0.1:{port}" for name, port in ports.items()},
        "api": f"https://127.0.0.1:{ports['api']}",
        "smtp": f"smtp://127.0.0.1:{ports['smtp']}",
        "token_file": str(_secret(folder.root / "responder-token")),
        "pager_keys": str(folder.root / "pager-keys"),
        "pager_key_file": str(folder.root / "pager-key"),
        "slack_url_file": str(folder.root / "slack-url"),
        "smtp_password_file": str(_secret(folder.root / "smtp-password")),
        "time_scale": str(time_scale),
        "discovery": whole(discovery_s(time_scale)),
        "haproxy_socket": str(folder.haproxy_socket),
    }
    for contact in CONTACTS:
        _secret(folder.root / "pager-keys" / contact)
    write_private(folder.root / "pager-key", (folder.root / "pager-keys" / "on-call").read_text())
    # An incoming webhook's address is its secret, so senders read it from a file.
    write_private(folder.root / "slack-url", f"{addresses['sink']}/slack/alerts")
    folder.haproxy_socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki.make(folder.root, ports["api"])
    write_private(folder.plan, json.dumps(addresses, indent=2) + "\n")
    return addresses


def _secret(path: Path) -> Path:
    """32 random hexadecimal digits, the length of a PagerDuty routing key; kept when it is already there."""
    if not path.is_file() or len(path.read_text()) != 32:
        write_private(path, secrets.token_hex(16))
    return path


def free_ports(root: Path) -> dict[str, int]:
    """A port for each of PORTS, all free now.

    Each state folder starts looking at a place of its own, so labs that are planned at the same instant do not meet,
    and a lab that is taken down and up again usually keeps its addresses.
    """
    blocks = (_LAST_PORT - _FIRST_PORT) // _BLOCK
    start = int.from_bytes(hashlib.sha256(str(root).encode()).digest()[:4]) % blocks
    for step in range(blocks):
        first = _FIRST_PORT + (start + step) % blocks * _BLOCK
        ports = dict(zip(PORTS, range(first, first + len(PORTS)), strict=True))
        if all(is_free(port) for port in ports.values()):
            return ports
    raise LabError(f"no {len(PORTS)} neighbouring ports between {_FIRST_PORT} and {_LAST_PORT} are free on 127.0.0.1")


def is_free(port: int) -> bool:
    """Whether a server could bind the port on 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT does not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
