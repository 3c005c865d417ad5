"""Pod addresses: each pod has its own 127.x.y.z, with x the lab's own."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError

_FIRST, _LAST = 16, 250  # 127.0.x.y stays the machine's own


class Addresses:
    """Hands out loopback addresses that nobody on this machine listens on.

    The second octet is drawn once per lab and kept in its state folder; a lab that runs claims it machine-wide through
    an abstract socket, so that several labs do not share a network by chance.
    """

    def __init__(self, folder: Path) -> None:
        self._octet, self._claim = _claim_network(folder / "network")
        self._next = 1
        self._used: set[str] = set()

    def close(self) -> None:
        """Give the network back."""
        self._claim.close()

    def keep(self, address: str) -> None:
        """Note an address that a pod has from before we started."""
        self._used.add(address)

    def take(self, ports: Iterable[int]) -> str:
        """A free address on which all these TCP ports can be bound. Raises :class:`LabError` when there is none."""
        wanted = tuple(ports)
        for _ in range(65000):
            third, fourth = divmod(self._next, 254)
            self._next = self._next % 64000 + 1
            address = f"127.{self._octet}.{third}.{fourth + 1}"
            if address not in self._used and all(bindable(address, port) for port in wanted or (0,)):
                self._used.add(address)
                return address
        raise LabError(f"no free pod address in 127.{self._octet}.0.0/16")

    def release(self, address: str) -> None:
        """The pod is gone."""
        self._used.discard(address)


def bindable(address: str, port: int) -> bool:
    """Whether a program could listen there now. Raises :class:`LabError` where 127/8 is not all loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise LabError(
                    f"pods need addresses in 127.0.0.0/8, and {address} is not one here: use Linux"
                ) from None
            return False
    return True


def _claim_network(note: Path) -> tuple[int, socket.socket]:
    octets = random.sample(range(_FIRST, _LAST), _LAST - _FIRST)
    if note.is_file() and note.read_text().strip().isdigit():
        octets.insert(0, int(note.read_text()))
    for octet in octets:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0muster-lab-127.{octet}")
        except OSError:
            claim.close()
            continue
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(octet))
        return octet, claim
    raise LabError("all loopback networks 127.16 to 127.249 are taken by other labs on this machine")
