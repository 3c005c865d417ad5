"""``python -m lab.visitors``: visit ``$TARGET`` ``$RATE`` times a second (default 20) until told to stop.

Visits are due on a schedule and spread over a few keep-alive connections. A target that is down costs visits, never the
visitor: it is counted, and one line every ten seconds says how it went. The standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections import Counter
from itertools import cycle
from urllib.parse import urlsplit

VISITORS = 4  # connections kept open
TIMEOUT_S = 5.0
REPORT_EVERY_S = 10.0
MESSAGE = b'{"to":"everyone","text":"hello"}'
# The load mix: mostly reads, one write in ten.
MIX = ("GET /api/v1/ping",) * 5 + ("GET /api/v1/route",) * 3 + ("GET /api/v1/messages", "POST /api/v1/messages")
log = logging.getLogger("visitors")


class Visitor:
    """One keep-alive connection, opened again whenever it is lost."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def visit(self, what: str) -> str:
        """Do one request; returns its status, or the name of what went wrong."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._exchange(what)
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            self.close()
            return type(error).__name__

    async def _exchange(self, what: str) -> str:
        if self._stream is None or self._stream[0].at_eof():
            self.close()
            self._stream = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._stream
        body = MESSAGE if what.startswith("POST") else b""
        writer.write(f"{what} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next((line[15:] for line in head.split("\r\n") if line.startswith("content-length:")), None)
        if length is not None:
            await reader.readexactly(int(length))
        if length is None or "connection: close" in head:
            self.close()
        return head.split(" ", 2)[1]

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._stream:
            self._stream[1].close()
            self._stream = None


async def visit_forever(target: str, rate: float, outcomes: Counter[str]) -> None:
    """Visit on schedule until cancelled; what came of each visit is counted in ``outcomes``."""
    address = urlsplit(target)
    visitors = [Visitor(address.hostname or "127.0.0.1", address.port or 80) for _ in range(VISITORS)]
    free: asyncio.Queue[Visitor] = asyncio.Queue()
    for visitor in visitors:
        free.put_nowait(visitor)
    due = asyncio.get_running_loop().time()
    try:
        async with asyncio.TaskGroup() as group:
            for what in cycle(MIX):
                due += 1.0 / rate
                await asyncio.sleep(due - asyncio.get_running_loop().time())
                visitor = await free.get()
                group.create_task(_one(visitor, what, outcomes, free))
    finally:
        for visitor in visitors:
            visitor.close()


async def _one(visitor: Visitor, what: str, outcomes: Counter[str], free: asyncio.Queue[Visitor]) -> None:
    outcomes[await visitor.visit(what)] += 1
    free.put_nowait(visitor)


async def _report(outcomes: Counter[str]) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        told = ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items())) or "none"
        log.info("visits in the last %.0f s: %s", REPORT_EVERY_S, told)
        outcomes.clear()


async def _run(target: str, rate: float) -> None:
    outcomes: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    work = asyncio.gather(visit_forever(target, rate, outcomes), _report(outcomes))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    log.info("visiting %s %s times a second", target, rate)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def main() -> int:
    """Run until SIGTERM; exit 2 when TARGET or RATE cannot be used."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.Formatter.converter = time.gmtime
    target, rate = os.environ.get("TARGET", ""), os.environ.get("RATE", "20")
    try:
        visits_per_s = float(rate)
        usable = target.startswith("http://") and bool(urlsplit(target).hostname) and visits_per_s > 0
    except ValueError:
        usable = False
    if not usable:
        log.error("TARGET=%r must be an http:// address and RATE=%r a number above 0", target, rate)
        return 2
    asyncio.run(_run(target, visits_per_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
