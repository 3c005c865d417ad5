"""HAProxy's runtime API: one conversation over its admin socket."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ANSWER_TIMEOUT_S = 2.0
_FORCED_MAINTENANCE, _FORCED_DRAIN = 0x01, 0x08  # bits of srv_admin_state
log = logging.getLogger(__name__)


class RuntimeApiError(Exception):
    """HAProxy is not there, or did not answer in time."""


@dataclass(frozen=True)
class Endpoint:
    """Where a pod serves: a server of HAProxy."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Slot:
    """One server of a pool as HAProxy has it. ``mode`` is ready, drain or maint."""

    name: str  # pool/server
    endpoint: Endpoint
    mode: str


class Runtime:
    """``async with Runtime(socket) as haproxy``. All methods raise :class:`RuntimeApiError`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def __aenter__(self) -> Self:
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self._socket, limit=16 * 1024 * 1024)
        except OSError as error:
            raise RuntimeApiError(f"HAProxy cannot be reached at {self._socket}: {error.strerror or error}") from None
        try:
            await self._ask("prompt")  # from now on each answer ends in a prompt
        except BaseException:
            self._writer.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def slots(self, pool: str) -> list[Slot]:
        """The servers of a pool."""
        answer = await self._ask(f"show servers state {pool}")
        rows = [line.split() for line in answer.splitlines()[1:]]
        if not rows or rows[0][0] != "#":
            raise RuntimeApiError(f"HAProxy has no servers of {pool}: {answer.strip()[:100]}")
        where = {name: rows[0].index(name) - 1 for name in ("srv_name", "srv_addr", "srv_port", "srv_admin_state")}
        return [
            Slot(
                name=f"{pool}/{row[where['srv_name']]}",
                endpoint=Endpoint(row[where["srv_addr"]], int(row[where["srv_port"]])),
                mode=_mode(int(row[where["srv_admin_state"]])),
            )
            for row in rows[1:]
            if row
        ]

    async def busy(self, pool: str) -> set[str]:
        """Names of the slots that still serve a request."""
        answer = await self._ask(f"show servers conn {pool}")
        header, *rows = [line.split() for line in answer.splitlines() if line.strip()]
        used = header.index("used_cur") - 1
        return {row[0] for row in rows if row[used] != "0"}

    async def give(self, slot: str, endpoint: Endpoint) -> None:
        """Point a slot at an endpoint and let requests in; a refused address is logged, and lets nothing in."""
        command = f"set server {slot} addr {endpoint.address} port {endpoint.port}"
        answer = (await self._ask(command)).strip()
        if answer.startswith(("IP changed", "port changed", "no need to change")):
            await self.set_mode(slot, "ready")
        else:
            log.warning("HAProxy on %r: %s", command, answer)

    async def set_mode(self, slot: str, mode: str) -> None:
        """``ready``; ``drain``: no new requests, those under way end in peace; ``maint``: free."""
        await self._do(f"set server {slot} state {mode}")

    async def read_map(self, name: str) -> dict[str, str]:
        """The entries of a map."""
        entries = (line.split(None, 2) for line in (await self._ask(f"show map {name}")).splitlines())
        return {entry[1]: entry[2] for entry in entries if len(entry) == 3}

    async def put(self, name: str, key: str, value: str, *, new: bool) -> None:
        """Add an entry to a map, or change the one that is there, between two requests."""
        await self._do(f"{'add' if new else 'set'} map {name} {key} {value}")

    async def drop(self, name: str, key: str) -> None:
        """Remove an entry of a map."""
        await self._do(f"del map {name} {key}")

    async def _do(self, command: str) -> None:
        """A command that is silent when it works. A refusal is logged; the next pass sees what is still missing."""
        if answer := (await self._ask(command)).strip():
            log.warning("HAProxy on %r: %s", command, answer)

    async def _ask(self, command: str) -> str:
        try:
            self._writer.write(f"{command}\n".encode())
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._reader.readuntil(b"\n> ")
        except (OSError, EOFError, TimeoutError) as error:
            raise RuntimeApiError(f"HAProxy did not answer {command!r}: {type(error).__name__}") from None
        return answer[:-3].decode()


def _mode(admin_state: int) -> str:
    if admin_state & _FORCED_MAINTENANCE:
        return "maint"
    return "drain" if admin_state & _FORCED_DRAIN else "ready"
