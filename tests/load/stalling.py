"""A web server that stands still: argv are port, period and stall in seconds. One thread, asyncio, keep-alive."""

from __future__ import annotations

import asyncio
import sys
import time

ANSWER = b"HTTP/1.1 %d OK\r\nContent-Length: 2\r\n\r\n{}"


class Page(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for _ in range(data.count(b"HTTP/1.1\r\n")):
            self.transport.write(ANSWER % (202 if data.startswith(b"POST") else 200))


async def main(port, period_s, stall_s):
    server = await asyncio.get_running_loop().create_server(Page, "127.0.0.1", port, backlog=1000)
    print("listening", flush=True)
    async with server:
        while True:
            await asyncio.sleep(period_s - stall_s)
            if stall_s:
                time.sleep(stall_s)  # noqa: ASYNC251 - that is the point


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
