"""A web server that serves fewer requests the more of them it holds: argv is the port. One thread, asyncio, keep-alive.

``served(held)`` answers a second, by contention and crosstalk: 365 with some 60 held, 106 with a thousand.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque

ANSWER = b"HTTP/1.1 %d OK\r\nContent-Length: 2\r\n\r\n{}"
LOOK_S = 0.005


def served(held):
    return held * 40 / (1 + 0.075 * held + 0.0003 * held * held)


class Page(asyncio.Protocol):
    def __init__(self, waiting):
        self.waiting = waiting

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.waiting.append((self.transport, ANSWER % (202 if data.startswith(b"POST") else 200)))


async def main(port):
    waiting = deque()
    server = await asyncio.get_running_loop().create_server(lambda: Page(waiting), "127.0.0.1", port, backlog=2000)
    print("listening", flush=True)
    allowed, looked = 0.0, time.perf_counter()
    async with server:
        while True:
            await asyncio.sleep(LOOK_S)
            now = time.perf_counter()
            allowed = min(allowed + served(len(waiting)) * (now - looked), 20.0)
            looked = now
            while waiting and allowed >= 1:
                transport, answer = waiting.popleft()
                transport.write(answer)
                allowed -= 1


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
