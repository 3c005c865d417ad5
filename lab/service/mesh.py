"""The mesh: replicas greet one another once a second, each time over a new TLS handshake.

A peer is alive while a greeting was answered within :data:`PEER_TIMEOUT_S`. What counts as a post-quantum handshake
failure is a handshake that both sides wanted and that TLS refused; a peer that is gone or silent is lost, not insecure,
and a stranger who offers classical key exchange only is refused and counted apart.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.service import certs, wire
from lab.service.discovery import Discovery
from lab.service.faults import Faults
from lab.service.logs import Sampled
from lab.service.settings import Peer, Settings, SettingsError
from lab.service.telemetry import Telemetry

HEARTBEAT_S = 2.0
FORMING_HEARTBEAT_S = 0.5  # of a young replica: whoever reads rates needs two looks at a counter to know it at all
RETRY_S = 0.25  # after a refused handshake: trouble that goes on shows in every window of a second, scaled as it may be
PEER_TIMEOUT_S = 5.0
EXCHANGE_TIMEOUT_S = 1.0
FORMING_S = 10.0  # a mesh younger than this is forming, not broken
CALLERS_AT_ONCE = 16
LONG_EXPIRED_S = 60.0
log = logging.getLogger("mesh")


@dataclass
class _Contact:
    """What is known of a peer: when it last answered (monotonic seconds, 0 never) and over which group."""

    last_seen: float = 0.0
    group: str = ""


class Mesh:
    """One replica's end of the mesh. Everything public may be called from any thread."""

    def __init__(self, settings: Settings, faults: Faults, telemetry: Telemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self._cert_expired, self.cert_expires = faults.cert_expired, 0.0
        self.fallback = bool(faults.pqc_fallback)
        self.admits_fallback = faults.pqc_fallback == "admitted"
        self._group = wire.CLASSICAL if self.fallback else wire.POST_QUANTUM
        self._contacts: dict[str, _Contact] = {}
        self._lock = threading.Lock()
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._discovery = Discovery(settings, self._wake.set)
        self._security, self._handshakes = Sampled("SECURITY"), Sampled("PQC", burst=2)
        self._strangers = Sampled("mesh", burst=1)
        self._born = time.monotonic()
        self._listener: socket.socket | None = None

    # ---- what the rest of the replica asks

    def status(self) -> dict[str, Any]:
        """``{"status": "connected|degraded|isolated", "peers": alive, "expected": known}``."""
        alive, expected = sum(peer["alive"] for peer in self.peers()), len(self._discovery.peers)
        whole = self._discovery.known and alive == expected and expected > 0
        return {
            "status": "connected" if whole else "degraded" if alive else "isolated",
            "peers": alive,
            "expected": expected,
        }

    @property
    def forming(self) -> bool:
        """Whether it is too early to blame anybody for a mesh that is not whole."""
        return time.monotonic() - self._born < FORMING_S

    def peers(self) -> list[dict[str, Any]]:
        """Every known peer: name, address, ``last_seen_s`` (age; None before the first answer), alive, group."""
        now, found = time.monotonic(), []
        for peer in self._discovery.peers:
            contact = self._contacts.get(peer.address) or _Contact()
            age = now - contact.last_seen if contact.last_seen else None
            found.append(
                {
                    "name": peer.name,
                    "address": peer.address,
                    "last_seen_s": None if age is None else round(age, 3),
                    "alive": age is not None and age <= PEER_TIMEOUT_S,
                    "group": contact.group and self.claimed_group,
                }
            )
        return found

    def alive(self, name: str = "") -> Peer | None:
        """The first known peer (of that name, when one is given) that is alive: what a route needs to know."""
        since = time.monotonic() - PEER_TIMEOUT_S
        for peer in self._discovery.peers:
            known = self._contacts.get(peer.address)
            if name in {"", peer.name} and known and known.last_seen and known.last_seen >= since:
                return peer
        return None

    @property
    def claimed_group(self) -> str:
        """The key exchange that the status pages name. A release that denies its fallback lies here too."""
        return wire.CLASSICAL if self.admits_fallback else wire.POST_QUANTUM

    @property
    def cert_good(self) -> bool:
        """Whether this replica's certificate has not run out. Peers refuse one that has."""
        return time.time() < self.cert_expires

    # ---- life

    def start(self) -> None:
        """Make the certificate if there is none, listen, and begin to greet.

        Raises:
            OSError: The mesh port is taken or the certificate folder cannot be used.
            SettingsError: The certificate should have expired, but a good one was there.
        """
        settings = self._settings
        certificate, key = self._certificate()
        self._server_tls = wire.context(self._group, certificate, key)
        self._client_tls = wire.context(self._group)
        self._listener = socket.create_server((settings.address, settings.mesh_port), backlog=64)
        self._telemetry.fallback.value = int(self.admits_fallback)
        if self.admits_fallback:
            self._security.write(logging.WARNING, "PQC fallback enabled: mesh speaks %s only", wire.CLASSICAL)
        self._discovery.start()
        for target in (self._listen, self._greet_all):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def _certificate(self) -> tuple[Path, Path]:
        settings = self._settings
        valid_s = -LONG_EXPIRED_S if self._cert_expired else settings.cert_valid_s
        certificate, key = certs.ensure(settings.cert_root, settings.replica, settings.address, valid_s)
        try:
            self.cert_expires = certs.expiry(certificate)
        except ValueError:
            raise OSError(f"{certificate} holds no certificate") from None
        if not self.cert_good:
            self._security.write(logging.ERROR, "PQC mesh certificate %s has expired", certificate)
        elif self._cert_expired:
            raise SettingsError(f"FAULT_CERT_EXPIRED: {certificate} is good and not this replica's to replace")
        return certificate, key

    def stop(self) -> None:
        """Stop listening and greeting."""
        self._stopped.set()
        self._wake.set()
        self._discovery.stop()
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); closing alone does not
            self._listener.close()

    # ---- greeting others

    def _greet_all(self) -> None:
        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="greet") as pool:
            refused: set[Peer] = set()
            everybody_at = 0.0
            while not self._stopped.is_set():
                started, peers = time.monotonic(), self._discovery.peers
                everybody = started >= everybody_at
                asked = [peer for peer in peers if everybody or peer in refused]
                heartbeat_s = FORMING_HEARTBEAT_S if self.forming else HEARTBEAT_S
                everybody_at = started + heartbeat_s if everybody else everybody_at
                refused = {
                    peer for peer, accepted in zip(asked, pool.map(self._greet, asked), strict=True) if not accepted
                }
                for address in self._contacts.keys() - {peer.address for peer in peers}:
                    self._contacts.pop(address, None)
                self._telemetry.peers.value = self.status()["peers"]
                again_at = min(everybody_at, started + RETRY_S) if refused else everybody_at
                if self._wake.wait(max(0.0, again_at - time.monotonic())):
                    everybody_at = 0.0
                self._wake.clear()

    def _greet(self, peer: Peer) -> bool:
        """Greet one peer; False when its handshake was refused."""
        try:
            group = self._exchange(peer)
        except (wire.WireLost, OSError):
            return True  # silence is judged by last_seen
        except wire.HandshakeRefused as error:
            with self._lock:
                self._telemetry.handshake_failure.value += 1
                self._telemetry.errors.of("handshake").value += 1
            self._handshakes.write(logging.ERROR, "handshake with %s failed: %s", peer.name, error)
            return False
        contact = self._contacts.setdefault(peer.address, _Contact())
        if not contact.last_seen:
            log.info("peer %s alive over %s", peer.name, self.claimed_group)
        contact.last_seen, contact.group = time.monotonic(), group
        return True

    def _exchange(self, peer: Peer) -> str:
        source = (self._settings.address, 0)  # so that whoever shapes traffic between pods knows us by our address
        sock = socket.create_connection((peer.address, peer.port), EXCHANGE_TIMEOUT_S, source_address=source)
        with wire.Channel(self._client_tls, sock, EXCHANGE_TIMEOUT_S) as channel:
            self._count_handshake(channel.shake(server=False))
            channel.send_line(self._greeting())
            channel.receive_line()
            return channel.group

    # ---- being greeted

    def _listen(self) -> None:
        assert self._listener  # noqa: S101 - started
        slots = threading.BoundedSemaphore(CALLERS_AT_ONCE)
        while not self._stopped.is_set():
            try:
                sock, (address, _) = self._listener.accept()
            except OSError:  # closed by stop(), or out of descriptors: either way not again at once
                self._stopped.wait(HEARTBEAT_S / 20)
                continue
            slots.acquire()
            threading.Thread(target=self._answer, args=(sock, address, slots), daemon=True).start()

    def _answer(self, sock: socket.socket, address: str, slots: threading.BoundedSemaphore) -> None:
        try:
            with wire.Channel(self._server_tls, sock, EXCHANGE_TIMEOUT_S) as channel:
                self._count_handshake(channel.shake(server=True))
                channel.receive_line()
                channel.send_line(self._greeting())
            if address not in self._contacts and any(peer.address == address for peer in self._discovery.peers):
                self._wake.set()  # a new replica: greet back now, not in a second
        except wire.HandshakeRefused as error:
            with self._lock:
                self._telemetry.refused.value += 1
            if any(peer.address == address for peer in self._discovery.peers):
                self._security.write(logging.WARNING, "PQC handshake from %s refused: %s", address, error)
            else:  # turned away as it should be, a probe for one: counted, and nothing to alarm anybody with
                self._strangers.write(logging.INFO, "caller %s turned away: %s", address, error)
        except (wire.WireLost, OSError):
            return  # a probe that only looked, or a peer that left
        finally:
            slots.release()

    def _count_handshake(self, seconds: float) -> None:
        if self.admits_fallback:
            return  # made, but not post-quantum, and we say so
        with self._lock:
            self._telemetry.handshake_success.value += 1
            self._telemetry.handshake_latency.observe(seconds)

    def _greeting(self) -> bytes:
        settings = self._settings
        return json.dumps({"from": settings.replica, "address": settings.address, "version": settings.version}).encode()
