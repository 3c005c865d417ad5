"""NetworkChaos: which links are in force, and who makes them felt.

Where the kernel lets us (root, nftables), by packet rules and a proxy that new connections are led to: whoever talks to
the pod feels it. Elsewhere the lab's ingress is told to go through the proxy, and only its users feel it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.chaos import detours
from lab.chaos.firewall import MARK, Firewall, cut_established
from lab.chaos.links import Effect, Link, between, suffered
from lab.chaos.proxy import Proxy
from lab.chaos.spec import Plan
from lab.errors import LabError

Object = dict[str, Any]
INGRESS = "127.0.0.1"  # where requests through the ingress come from
_DRAIN_S = 10.0  # how long connections through the proxy may go on after the last fault
_LINGER_S = 1.5  # how long the proxy waits for the ingress to go straight again
_AGAIN_S = 1.0
_POLL_S = 0.1
_QUIET_S = 0.1
_BUSY_S = 2.0  # connections in use for longer than this are let go at shorter pauses
_SHORT_QUIET_S = 0.005
_log = logging.getLogger(__name__)


@dataclass
class _Fault:
    """One object's groups: addresses by target id."""

    plan: Plan
    groups: dict[str, dict[str, str]] = field(default_factory=lambda: {".": {}, ".Target": {}})

    def links(self) -> list[Link]:
        targets = frozenset(self.groups[".Target"].values()) if ".Target" in self.plan.selections else None
        return between(frozenset(self.groups["."].values()), targets, self.plan.direction, self.plan.effect)


class Network:
    """All network faults of one lab; nothing is started before the first one."""

    def __init__(self, state: Path) -> None:
        self._file = detours.file(state)
        self._faults: dict[str, _Fault] = {}
        self._ports: dict[str, tuple[int, ...]] = {}
        self._proxy: Proxy | None = None
        self._firewall: Firewall | None = None
        self._door = ("", 0)  # where the firewall leads connections to
        self._detours: dict[str, str] = {}
        self._felt: list[Link] = []  # by what passes the proxy
        self._stale = False  # what is in force is not what the faults ask for: the last try has failed
        self._detoured: set[str] = set()
        self._lock = asyncio.Lock()
        self._draining: asyncio.Task[None] | None = None
        self._guard: asyncio.Task[None] | None = None
        self.refusal = ""
        self._file.unlink(missing_ok=True)  # of an agent that was killed

    async def bring(self, uid: str, plan: Plan, key: str, target: str, pod: Object | None) -> None:
        """Let a fault concern a pod; again is nothing new. Raises :class:`LabError` when it cannot be done now."""
        address = ((pod or {}).get("status") or {}).get("podIP")
        if pod is None or not address:
            raise LabError(f"pod {target} has no address")
        ports = [port["containerPort"] for each in pod["spec"]["containers"] for port in each.get("ports") or ()]
        group = self._faults.setdefault(uid, _Fault(plan)).groups[key]
        before = group.get(target)
        if before == address and not self._stale:
            return
        self._ports[address] = tuple(ports)
        group[target] = address
        try:
            await self._apply(address)
        except LabError:  # it does not suffer: whoever tries again must find it so
            if before is None:
                self._release(uid, key, target)
            else:
                group[target] = before
            raise

    async def lift(self, uid: str, key: str, target: str) -> None:
        """Let it concern the pod no longer; one that it did not concern is no error."""
        if self._release(uid, key, target) or self._stale:
            await self._apply(None)

    def _release(self, uid: str, key: str, target: str) -> bool:
        fault = self._faults.get(uid)
        if fault is None or fault.groups[key].pop(target, None) is None:
            return False
        if not any(fault.groups.values()):
            del self._faults[uid]
        return True

    async def lift_all(self, uid: str) -> None:
        """The object is gone."""
        if self._faults.pop(uid, None) is not None or self._stale:
            await self._apply(None)

    async def forget(self, target: str) -> None:
        """The pod is gone: its address may be another's one day."""
        gone = [group for fault in self._faults.values() for group in fault.groups.values() if group.pop(target, None)]
        if gone or self._stale:
            await self._apply(None)

    async def close(self) -> None:
        """End every fault."""
        self._faults.clear()
        if self._draining is not None:
            self._draining.cancel()
        async with self._lock:
            await self._clear()

    # Making it felt

    async def _apply(self, address: str | None) -> None:
        try:
            async with self._lock:
                self._stale = True
                links = [link for fault in self._faults.values() for link in fault.links()]
                if self._proxy is None and address is not None:
                    await self._begin(address)
                if self._firewall is not None:
                    await self._by_kernel(self._firewall, links)
                else:
                    await self._by_ingress(links)
                self._stale = False
        finally:
            if self._draining is None or self._draining.done():
                self._draining = asyncio.ensure_future(self._drain())

    async def _begin(self, address: str) -> None:
        first, second, *_ = address.split(".")
        self._door = (f"{first}.{second}.255.254", 0)
        firewall = Firewall(f"{first}.{second}.0.0/16")
        try:
            await firewall.apply([], self._door)
            self._firewall, self.refusal = firewall, ""
        except LabError as error:
            self.refusal = str(error)
            _log.warning("network faults are felt through the ingress only: %s", error)
        self._proxy = Proxy(self._suffers, mark=MARK if self._firewall else 0)
        if self._firewall:
            self._door = await self._proxy.open(self._door[0])
            self._guard = asyncio.ensure_future(self._keep(self._firewall))

    async def _keep(self, firewall: Firewall) -> None:
        """Make rules again that somebody has taken away: what the objects' status says must stay true."""
        while True:
            await firewall.ended()
            if firewall is not self._firewall:
                return
            _log.warning("the rules of network faults were taken away; they are made again")
            try:
                await self._apply(None)
            except LabError as error:
                _log.warning("not yet: %s", error)
                await asyncio.sleep(_AGAIN_S)

    def _suffers(self, source: str, destination: str) -> Effect:
        return suffered(self._felt, source, destination)

    async def _by_kernel(self, firewall: Firewall, links: list[Link]) -> None:
        await firewall.apply(links, self._door)
        self._felt = [link for link in links if not link.effect.cut]
        detoured = {end for link in self._felt for end in link.sources or link.destinations or ()}
        await cut_established(detoured - self._detoured)
        self._detoured = detoured

    async def _by_ingress(self, links: list[Link]) -> None:
        self._felt = links
        wanted = {}
        for address, ports in self._ports.items():
            if self._suffers(INGRESS, address) or self._suffers(address, INGRESS):
                for port in ports:
                    wanted[f"{address}:{port}"] = await self._detour(address, port)
        detours.publish(self._file, wanted)
        self._detours = wanted

    async def _detour(self, address: str, port: int) -> str:
        known = self._detours.get(f"{address}:{port}")
        if known is None and self._proxy is not None:
            host, number = await self._proxy.open(self._door[0], (address, port))
            known = f"{host}:{number}"
        return known or ""

    # And no longer

    async def _drain(self) -> None:
        """Once no fault is left, let what passes the proxy end, then take everything away."""
        loop = asyncio.get_running_loop()
        earliest = loop.time() + (0.0 if self._firewall is not None else _LINGER_S)
        busy, deadline = loop.time() + _BUSY_S, loop.time() + _DRAIN_S
        while self._proxy is not None:
            await asyncio.sleep(_POLL_S)
            async with self._lock:
                if self._faults:
                    return
                self._proxy.release(_QUIET_S if loop.time() < busy else _SHORT_QUIET_S)
                over = not self._proxy.connections and loop.time() > earliest
                if over or loop.time() > deadline:
                    await self._clear()

    async def _clear(self) -> None:
        detours.publish(self._file, {})
        if self._proxy is not None:
            self._proxy.close()
        firewall, self._firewall, self._proxy = self._firewall, None, None
        if self._guard is not None:
            self._guard.cancel()
        if firewall is not None:
            await firewall.close()
        self._detours, self._detoured, self._felt = {}, set(), []
        self._stale = False
        self._ports.clear()
