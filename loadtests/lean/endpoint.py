"""Where requests go: address, TLS, patience, and what became of the connections there."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket as gevent_socket
from gevent.lock import Semaphore

from .errors import NameNotResolved, RequestRefused
from .request import Prepared

ADDRESSES_KEPT_S = 5.0  # every user of a process asks DNS at most this often


@dataclass(slots=True)
class Counters:
    """What statistics of requests do not show. ``resent``: once more, a kept connection being closed."""

    connected: int = 0
    resent: int = 0


@dataclass(slots=True)
class Endpoint:
    """One host and port; shared by all users of a process. Made by :meth:`at`.

    ``connect_timeout_s`` bounds DNS, TCP and TLS together, ``answer_timeout_s`` the time from sending a request to the
    last byte of its answer.
    """

    host: str
    port: int
    authority: str
    tls: ssl.SSLContext | None
    connect_timeout_s: float
    answer_timeout_s: float
    counters: Counters = field(default_factory=Counters)
    _addresses: list[tuple[int, Any]] = field(default_factory=list)
    _resolved_at: float = 0.0
    _resolving: Semaphore = field(default_factory=Semaphore)

    @classmethod
    def at(
        cls, url: str, *, connect_timeout_s: float = 2.0, answer_timeout_s: float = 5.0, ca_file: str = ""
    ) -> Endpoint:
        """The endpoint of an ``http://`` or ``https://`` address. ``ca_file``: trust these, beside the system's.

        Raises:
            RequestRefused: The address is no such address, or the CA file cannot be read.
        """
        if not url:
            raise RequestRefused("there is no host to send requests to: give --host http://...")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise RequestRefused(f"{url!r} is not an address: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RequestRefused(f"{url!r} is not an http:// or https:// address")
        if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise RequestRefused(
                f"the address {parts.scheme}://{parts.hostname} must have no user, path, query or fragment"
            )
        host = parts.hostname
        shown = f"[{host}]" if ":" in host else host
        return cls(
            host=host,
            port=port or (443 if parts.scheme == "https" else 80),
            authority=f"{shown}:{port}" if port else shown,
            tls=_context(ca_file) if parts.scheme == "https" else None,
            connect_timeout_s=connect_timeout_s,
            answer_timeout_s=answer_timeout_s,
        )

    @property
    def where(self) -> str:
        """Host and port, for sentences."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def prepare(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Prepared:
        """:meth:`Prepared.make` for this host."""
        return Prepared.make(method, path, host=self.authority, headers=headers, **more)

    def addresses(self) -> list[tuple[int, Any]]:
        """Family and socket address of every address of the host, in the resolver's order. Waits, cooperatively.

        Raises:
            NameNotResolved: There is none, or DNS does not answer within the time for connecting.
        """
        if self._known():
            return self._addresses
        if literal := _literal(self.host, self.port):
            self._addresses, self._resolved_at = [literal], float("inf")
            return self._addresses
        patience = gevent.Timeout(self.connect_timeout_s)
        try:
            with patience, self._resolving:  # one asks, the others wait for its answer
                if not self._known():
                    found = gevent_socket.getaddrinfo(self.host, self.port, 0, socket.SOCK_STREAM)
                    self._addresses = [(family, address) for family, _, _, _, address in found]
                    self._resolved_at = time.monotonic()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NameNotResolved(f"the name {self.host} cannot be resolved: {reason}") from error
        except gevent.Timeout as error:
            if error is not patience:
                raise
            raise NameNotResolved(f"DNS did not answer for {self.host} within {self.connect_timeout_s:g} s") from error
        return self._addresses

    def _known(self) -> bool:
        return bool(self._addresses) and time.monotonic() - self._resolved_at < ADDRESSES_KEPT_S


def _literal(host: str, port: int) -> tuple[int, Any] | None:
    """The address, when the host is one: no DNS is asked."""
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    return (socket.AF_INET, (host, port)) if version == 4 else (socket.AF_INET6, (host, port, 0, 0))


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise RequestRefused(f"the CA file {ca_file} cannot be used: {error}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context
