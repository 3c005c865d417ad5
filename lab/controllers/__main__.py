"""``python -m lab.controllers --state DIR``: the controllers as one process, an ordinary client of the API."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from lab.client import Client
from lab.controllers.autoscaler import AutoscalerController
from lab.controllers.deployment import DeploymentController
from lab.controllers.disruption import DisruptionController
from lab.controllers.endpoints import EndpointsController
from lab.controllers.gc import GarbageCollector, collectable
from lab.controllers.nodes import GRACE_S, NodeController
from lab.controllers.quota import QuotaController
from lab.controllers.replicaset import ReplicaSetController
from lab.controllers.work import Controller, Informers
from lab.errors import ApiError, LabError
from lab.recorder import Recorder
from lab.resources import Resource

NAMES = (
    "deployment", "replicaset", "endpoints", "gc", "ingress",
    "node", "quota", "disruption", "hpa", "kube-state-metrics",
)  # fmt: skip
_log = logging.getLogger(__name__)


async def serve(client: Client, names: list[str], arguments: argparse.Namespace) -> None:
    """Run the named controllers until cancelled. Raises :class:`LabError` when the metrics' port is taken."""
    informers = Informers(client)
    parts: list[Callable[[], Awaitable[None]]] = []
    exporter = None
    if "kube-state-metrics" in names and arguments.kube_state_metrics_port is not None:
        from lab.controllers.kubestate.exporter import Exporter

        exporter = Exporter(informers, arguments.kube_state_metrics_port)
    for name in names:
        if name == "ingress":
            from lab import ingress

            parts.append(lambda: ingress.run(client, arguments.state))
        elif name == "gc":
            recorder = Recorder(client, GarbageCollector.name, time_scale=arguments.time_scale)
            resources = await _discover(client)
            collector = GarbageCollector(client, informers, recorder, resources=resources)
            parts += [collector.run, recorder.run]
        elif name != "kube-state-metrics":
            kind, settings = _controller(name, arguments)
            recorder = Recorder(client, kind.name, time_scale=arguments.time_scale)
            parts += [kind(client, informers, recorder, **settings).run, recorder.run]
    if exporter:
        await exporter.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(informers.run())
            for part in parts:
                tasks.create_task(_awaited(part))
    finally:
        if exporter:
            await exporter.stop()


def _controller(name: str, arguments: argparse.Namespace) -> tuple[type[Controller], dict[str, float]]:
    """The class of a controller and its settings."""
    settings: dict[str, float] = {}
    if name == "node":
        settings["grace_s"] = arguments.node_grace_s
    elif name == "hpa":
        settings["time_scale"] = arguments.time_scale
    classes: dict[str, type[Controller]] = {
        "deployment": DeploymentController,
        "replicaset": ReplicaSetController,
        "endpoints": EndpointsController,
        "node": NodeController,
        "quota": QuotaController,
        "disruption": DisruptionController,
        "hpa": AutoscalerController,
    }
    return classes[name], settings


async def _awaited(part: Callable[[], Awaitable[None]]) -> None:
    await part()


async def _discover(client: Client) -> list[Resource]:
    delay_s = 0.05
    while True:
        try:
            return await collectable(client)
        except ApiError as error:
            _log.info("discovery: %s", error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 2.0)


async def _main(arguments: argparse.Namespace) -> None:
    kubeconfig = os.environ.get("LAB_KUBECONFIG") or arguments.state / "kubeconfig"
    async with Client.from_kubeconfig(kubeconfig, user_agent="lab-controllers") as client:
        names = [name for name in arguments.only if name not in arguments.off]
        work = asyncio.ensure_future(serve(client, names, arguments))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            _log.info("asked to stop")


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown controller {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return names


def main() -> int:
    """Parse the command line and run; 0 after SIGTERM, 1 with one sentence when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m lab.controllers", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path(os.environ.get("LAB_STATE", ".lab")))
    parser.add_argument("--only", type=_names, default=list(NAMES), help=f"comma-separated, of: {', '.join(NAMES)}")
    parser.add_argument("--except", dest="off", type=_names, default=[], help="comma-separated: all but these")
    parser.add_argument("--time-scale", type=float, default=60.0)
    parser.add_argument("--node-grace-s", type=float, default=GRACE_S, help="a silent node is lost after this long")
    parser.add_argument("--kube-state-metrics-port", type=int, help="where /metrics is served; not given: nowhere")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        import uvloop

        uvloop.run(_main(parser.parse_args()))
    except LabError as error:
        print(f"lab.controllers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
