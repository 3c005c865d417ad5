"""``python -m lab.api --state DIR --port P``: serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from lab.api import pki, snapshot
from lab.api.auth.tokens import Tokens
from lab.api.server import Api, tls

log = logging.getLogger("lab.api")


async def serve(state: Path, port: int) -> None:
    """Run one API server. Raises OSError when the port is taken, ValueError for a snapshot that is not one."""
    pki.make(state, port)
    store = snapshot.load(state / "api-store.json")
    keeper = snapshot.Keeper(store, state / "api-store.json")
    api = Api(store, (state / "token").read_text().strip(), tokens=Tokens.load(state))
    runner = web.AppRunner(api.app(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls(state), backlog=512).start()
        keeper.start()
        log.info("serving on https://127.0.0.1:%d", port)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        gc.freeze()
        await stop.wait()
    finally:
        await runner.cleanup()
        await keeper.stop()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.api", description="A Kubernetes API stand-in on loopback.")
    parser.add_argument("--state", type=Path, default=Path(os.environ.get("LAB_STATE", ".lab")))
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        import uvloop

        uvloop.run(serve(arguments.state.resolve(), arguments.port))
    except (OSError, ValueError) as error:
        print(f"the API cannot be served on port {arguments.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
