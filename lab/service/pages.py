"""What a replica says: health and status pages, and the small API that is there to be loaded."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any
from urllib.parse import parse_qs

from lab.service.dependencies import Dependencies
from lab.service.mesh import Mesh
from lab.service.settings import Settings
from lab.service.telemetry import Telemetry
from lab.service.wire import POST_QUANTUM


class BadRequest(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The caller's mistake: answered 400 with this sentence."""


class Pages:
    """Bodies as JSON-ready values. No I/O: the mesh and the dependencies are watched elsewhere."""

    def __init__(self, settings: Settings, mesh: Mesh, dependencies: Dependencies, telemetry: Telemetry) -> None:
        self._settings, self._mesh, self._dependencies = settings, mesh, dependencies
        self._telemetry = telemetry
        self._messages: deque[dict[str, Any]] = deque(maxlen=100)
        self._accepted = 0
        pong = {"pong": True, "replica": settings.replica, "version": settings.version}
        self._pong = json.dumps(pong, separators=(",", ":")).encode()

    def health(self) -> dict[str, Any]:
        """``{"status", "version", "replica", "dependencies": {name: {"status", ...}}}``, always with HTTP 200.

        ``status`` is ``ok``, also while the mesh still forms, or ``degraded`` when a dependency is not well: a replica
        that answers is alive, and restarting it because a neighbour is gone would make things worse.
        """
        mesh = self._mesh.status()
        state = "ok" if mesh["status"] == "connected" else "forming" if self._mesh.forming else mesh["status"]
        dependencies: dict[str, dict[str, Any]] = {
            "mesh": {"status": state, "peers": mesh["peers"], "expected": mesh["expected"]},
            "pqc": {"status": self._pqc_state(), "group": self._mesh.claimed_group},
        }
        dependencies.update({name: {"status": status} for name, status in self._dependencies.states.items()})
        well = all(entry["status"] in {"ok", "forming"} for entry in dependencies.values())
        return {
            "status": "ok" if well else "degraded",
            "version": self._settings.version,
            "replica": self._settings.replica,
            "dependencies": dependencies,
        }

    def _pqc_state(self) -> str:
        if self._mesh.admits_fallback:
            return "fallback"
        return "ok" if self._mesh.cert_good else "expired"

    def mesh_status(self) -> dict[str, Any]:
        """See :meth:`Mesh.status`."""
        return self._mesh.status()

    def mesh_peers(self) -> dict[str, Any]:
        """``{"self": replica, "peers": [...]}``, see :meth:`Mesh.peers`."""
        return {"self": self._settings.replica, "peers": self._mesh.peers()}

    def pqc_status(self) -> dict[str, Any]:
        """What the replica claims about its key exchange. The wire is the witness, not this page."""
        classical = self._mesh.admits_fallback
        return {
            "enabled": not classical,
            "algorithm": "X25519" if classical else "ML-KEM-768",
            "group": "x25519" if classical else POST_QUANTUM,
            "fallback_enabled": classical,
            "certificate": {"expires": round(self._mesh.cert_expires), "good": self._mesh.cert_good},
            "handshakes": {
                "success": int(self._telemetry.handshake_success.value),
                "failure": int(self._telemetry.handshake_failure.value),
            },
        }

    def ping(self) -> bytes:
        """The cheapest request: its answer, in JSON already, is always the same."""
        return self._pong

    def route(self, query: bytes) -> dict[str, Any]:
        """The way to replica ``?to=NAME`` (default: the first peer alive): one hop, or none when it is not there."""
        wanted = parse_qs(query.decode("latin-1")).get("to", [""])[0] if query else ""
        peer = self._mesh.alive(wanted)
        if peer is None:
            return {"from": self._settings.replica, "to": wanted, "hops": []}
        return {"from": self._settings.replica, "to": peer.name, "hops": [peer.address]}

    def messages(self) -> dict[str, Any]:
        """How many messages this replica has accepted, and the last 20."""
        return {"accepted": self._accepted, "messages": list(self._messages)[-20:]}

    def accept(self, body: bytes) -> dict[str, Any]:
        """Take a message ``{"to": ..., "text": ...}``. Raises :class:`BadRequest` when it is not that."""
        try:
            message = json.loads(body)
        except ValueError:
            raise BadRequest("the body is not JSON") from None
        if not isinstance(message, dict) or not isinstance(message.get("text"), str):
            raise BadRequest('a message is {"to": ..., "text": ...}')
        self._accepted += 1
        kept = {"id": self._accepted, "to": str(message.get("to", "")), "text": message["text"][:200]}
        self._messages.append({**kept, "at": round(time.time(), 3)})
        return {"id": self._accepted, "accepted": True}
