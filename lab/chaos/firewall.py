"""The kernel's part of network faults: packets dropped, and new connections led to the proxy.

All rules are in one nftables table that belongs to a running ``nft -i`` (flag ``owner``). When that process ends, as
we end it, we die or somebody kills it, the kernel removes the table: nothing can be left behind.
https://wiki.nftables.org/wiki-nftables/index.php/Configuring_tables
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Iterable

from lab.chaos.links import Addresses, Link
from lab.errors import LabError

MARK = 0x6D75  # on the proxy's own connections, which must not come back to it
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_ANSWER_S = 30.0  # a machine that stands still for seconds is no kernel without nftables
_GONE_S = 0.3
_ECHO = b"describe ip ttl\n"  # answers the same everywhere, after whatever was asked before it
_ECHOED = b"payload expression"
_log = logging.getLogger(__name__)


class Firewall:
    """Rules for one lab's network ``127.x.0.0/16``; ``apply`` replaces all of them at once."""

    def __init__(self, network: str) -> None:
        self._network = network
        self._table = f"muster-{network.replace('.', '-').partition('/')[0]}"
        self._nft: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether there is a table now."""
        return self._nft is not None and self._nft.returncode is None

    async def ended(self) -> None:
        """Wait until there is none any longer."""
        if self._nft is not None:
            await self._nft.wait()

    async def apply(self, links: Iterable[Link], proxy: tuple[str, int]) -> None:
        """Have exactly these links in force. Raises :class:`LabError` when this machine does not allow it."""
        if not self.running:
            await self._start()
        await self._ask("; ".join(render(self._table, self._network, links, proxy)))

    async def _start(self) -> None:
        program = shutil.which("nft", path=_PATH)
        if program is None:
            raise LabError("nft is not installed")
        pipe = asyncio.subprocess.PIPE
        nowhere = {"HOME": os.devnull}  # it would write down what it was told
        self._nft = await asyncio.create_subprocess_exec(
            program, "-i", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=nowhere
        )
        try:
            await self._found()
        except BaseException:
            await self.close()
            raise

    async def _found(self) -> None:
        """Make the table; that of a process which has just been killed may be in the way for a moment."""
        deadline = asyncio.get_running_loop().time() + _GONE_S
        while True:
            try:
                await self._ask("; ".join(foundation(self._table)))
            except LabError:
                if not self.running or os.geteuid() != 0 or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_GONE_S / 10)
            else:
                return

    async def _ask(self, commands: str) -> None:
        nft = self._nft
        if nft is None or nft.stdin is None or nft.stdout is None:
            raise LabError("nft does not run")
        said: list[str] = []
        try:
            nft.stdin.write(commands.encode() + b"\n" + _ECHO)
            async with asyncio.timeout(_ANSWER_S):
                while _ECHOED not in (line := await nft.stdout.readline()):
                    if not line:
                        raise LabError("nft ended")
                    said.append(line.decode(errors="replace").strip())
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                nft.kill()  # what it says later would be taken for its next answer
            await nft.wait()
            raise LabError("nft does not answer") from None
        except OSError as error:
            raise LabError(f"nft does not answer: {error}") from None
        if complaint := next((line for line in said if "Error" in line), ""):
            raise LabError(f"nft: {complaint.rpartition('Error: ')[2]}")

    async def close(self) -> None:
        """End the rules and the process: the kernel does it by itself, but takes its time."""
        if self.running:
            with contextlib.suppress(LabError):
                await self._ask(f"delete table ip {self._table}")
        process, self._nft = self._nft, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def foundation(table: str) -> list[str]:
    """The table with its two places: where connections begin, and where packets arrive.

    The third is never entered. Its rule keeps connection tracking at work, without which connections that were led
    to the proxy would lose their way as soon as the last rule that leads there is gone.
    """
    return [
        f"add table ip {table} {{ flags owner; }}",
        f"add chain ip {table} begin {{ type nat hook output priority -100; }}",
        f"add chain ip {table} arrive {{ type filter hook input priority 0; }}",
        f"add chain ip {table} track",
        f"add rule ip {table} track ct state new accept",
    ]


def render(table: str, network: str, links: Iterable[Link], proxy: tuple[str, int]) -> list[str]:
    """The commands that put these links in force instead of others.

    Cut links drop packets, so that established connections feel it and live on afterwards. Others lead each new
    connection between their ends to the proxy, whoever begins it: both directions of it concern both ends.
    """
    commands = [
        f"flush chain ip {table} begin",
        f"flush chain ip {table} arrive",
        f"add rule ip {table} begin meta mark {MARK:#x} return",
    ]
    begins = "tcp flags & (syn|ack) == syn"
    for link in links:
        if link.effect.cut:
            commands.append(f"add rule ip {table} arrive {_ends(link.sources, link.destinations)}drop")
        else:
            known, other = (link.sources, link.destinations) if link.sources else (link.destinations, link.sources)
            both = (_ends(known, other or network), _ends(other, known))
            commands += [f"add rule ip {table} begin {ends}{begins} dnat to {proxy[0]}:{proxy[1]}" for ends in both]
    return commands


def _ends(sources: Addresses | str | None, destinations: Addresses | str | None) -> str:
    return "".join(
        f"ip {word} {ends if isinstance(ends, str) else '{ ' + ', '.join(sorted(ends)) + ' }'} "
        for word, ends in (("saddr", sources), ("daddr", destinations))
        if ends
    )


async def cut_established(addresses: Iterable[str]) -> None:
    """Have every TCP connection that begins or ends at these addresses reset: only new ones meet the rules."""
    program = shutil.which("ss", path=_PATH)
    ends = " or ".join(f"src {address} or dst {address}" for address in sorted(addresses))
    if program is None or not ends:
        return
    process = await asyncio.create_subprocess_exec(
        program, "-K", "-H", "-t", "-n", "state", "connected", f"( {ends} )", stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_ANSWER_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        _log.warning("ss did not end the established connections in time")
