"""``python -m lab.service``: one replica, from environment to exit.

SIGTERM: not ready at once, then answers (each closing its connection) until no request has come for ``DRAIN_QUIET_S``,
at most ``DRAIN_S``; then exit 0. A second SIGTERM ends it at once. A setting that cannot be used is exit 2.
FAULT_IGNORE_SIGTERM: none of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import sys
import time
from types import FrameType

import uvloop
from uvicorn.config import Config
from uvicorn.server import Server

from lab.service import faults as fault_table
from lab.service import logs, settings
from lab.service.app import App
from lab.service.dependencies import Dependencies
from lab.service.http import Protocol
from lab.service.mesh import Mesh
from lab.service.pages import Pages
from lab.service.telemetry import Telemetry

KEEP_ALIVE_S = 75  # longer than any proxy keeps an idle connection: who closes first must be the one who sends
log = logging.getLogger("service")


class Replica(Server):
    """uvicorn's server with a farewell: on SIGTERM it first lets its users go elsewhere."""

    def __init__(self, config: Config, app: App, conf: settings.Settings, faults: fault_table.Faults) -> None:
        super().__init__(config)
        self._replica, self._conf, self._faults = app, conf, faults
        self._farewell: asyncio.Task[None] | None = None
        self._hurry, self._loop = asyncio.Event(), asyncio.get_running_loop()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, then be ready, and as faulty as told from now on: a start takes as long as the machine lets it."""
        await super().startup()
        self._replica.ready = True
        fault_table.start(self._faults)
        log.info("ready on %s:%d after %.2f s of CPU", self._conf.address, self._conf.port, time.process_time())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal handler: farewell, or at once when it is asked twice."""
        self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        if self._faults.ignore_sigterm:
            log.warning("told to end, and staying")
            return
        if self._farewell:
            self._hurry.set()
            return
        self._replica.drain()
        self._farewell = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        """Stay until nobody has asked for a while: routers learn of a leaving pod later than the pod itself."""
        log.info("draining")
        began = time.monotonic()
        while (left_s := self._quiet_in(began)) > 0 and not self._hurry.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._hurry.wait()
        log.info("leaving after %.1f s", time.monotonic() - began)
        self.should_exit = True

    def _quiet_in(self, began: float) -> float:
        quiet_at = max(began, self._replica.last_request) + self._conf.quiet_s
        return min(quiet_at, began + self._conf.drain_s) - time.monotonic()


async def _serve(conf: settings.Settings, faults: fault_table.Faults) -> None:
    telemetry = Telemetry(conf.version)
    telemetry.silence(faults.silent_metrics)
    mesh = Mesh(conf, faults, telemetry)
    dependencies = Dependencies(conf.dependencies, faults.dependency_down)
    app = App(Pages(conf, mesh, dependencies, telemetry), faults, telemetry)
    config = Config(
        app,
        host=conf.address,
        port=conf.port,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks who the user is; reading it costs a tenth of a request
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
    )
    mesh.start()
    await dependencies.look()  # before the first answer: "unknown" is nothing to tell anybody
    watching = asyncio.create_task(dependencies.watch())
    try:
        await Replica(config, app, conf, faults).serve()
    finally:
        watching.cancel()
        mesh.stop()


def main() -> int:
    """Run one replica; returns the exit code."""
    logs.set_up()
    try:
        conf, faults = settings.load(), fault_table.load()
        if faults.version:
            conf = dataclasses.replace(conf, version=faults.version)
        log.info("x0tta6bl4 %s starting as %s", conf.version, conf.replica)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(conf, faults))
    except settings.SettingsError as error:
        log.error("%s", error)  # noqa: TRY400 - one sentence says it
        return 2
    except OSError as error:
        log.error("cannot start: %s", error)  # noqa: TRY400
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
