"""``python -m lab.sink --state DIR --port P [--smtp-port P]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from aiohttp import web

from lab.sink.server import Sink


def main() -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    parser = argparse.ArgumentParser(prog="lab.sink", description="The lab's pager, chat, mail and webhook receiver.")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--smtp-port", type=int)
    options = parser.parse_args()
    application = Sink(options.state, options.smtp_port).application()
    web.run_app(application, host="127.0.0.1", port=options.port, print=None, access_log=None, shutdown_timeout=0.5)


if __name__ == "__main__":
    main()
