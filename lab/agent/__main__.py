"""``python -m lab.agent --state DIR --images FILE``: the node agent as a process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from lab.agent.agent import Agent
from lab.client import Client
from lab.errors import LabError

_log = logging.getLogger(__name__)


async def _main(arguments: argparse.Namespace) -> None:
    kubeconfig = os.environ.get("LAB_KUBECONFIG") or arguments.state / "kubeconfig"
    async with Client.from_kubeconfig(kubeconfig, user_agent="lab-agent") as client:
        agent = Agent(
            client,
            arguments.state,
            arguments.images,
            arguments.time_scale,
            port=arguments.port,
            cgroups=not arguments.no_cgroups,
            chaos=not arguments.no_chaos,
        )
        work = asyncio.ensure_future(agent.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            _log.info("asked to stop; pods run on")


def main() -> int:
    """Parse the command line and run; 0 after SIGTERM, 1 with one sentence when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m lab.agent", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path(os.environ.get("LAB_STATE", ".lab")))
    parser.add_argument("--images", type=Path, required=True, help="which image is which command")
    parser.add_argument("--time-scale", type=float, default=60.0, help="divides the restart back-off")
    parser.add_argument("--port", type=int, default=0, help="where logs, exec and metrics are served; 0: any")
    parser.add_argument(
        "--no-cgroups", action="store_true", help="watch memory limits ourselves even where the kernel could"
    )
    parser.add_argument("--no-chaos", action="store_true", help="leave Chaos Mesh objects to somebody else")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        import uvloop

        uvloop.run(_main(parser.parse_args()))
    except LabError as error:
        print(f"lab.agent: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
