"""The ingress controller: an ordinary client of the API on one side, of HAProxy's runtime API on the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from pathlib import Path
from urllib.parse import urlsplit

from lab.chaos import detours
from lab.client import Client
from lab.informer import Informer
from lab.ingress.address import keep_published
from lab.ingress.routes import detoured, wanted
from lab.ingress.runtime import Runtime, RuntimeApiError
from lab.ingress.sync import synchronise
from lab.resources import ENDPOINTSLICES, INGRESSES, SERVICES

LOOK_AGAIN_S = 0.5  # how long a restarted HAProxy may be empty
log = logging.getLogger(__name__)


async def run(client: Client, state: Path) -> None:
    """Keep the HAProxy of ``state`` (``plan.json`` there names its addresses) in step with the API, until cancelled.

    Nothing is changed before everything has been listed, and while the API is away HAProxy keeps what it has: an
    incomplete view must never empty a pool. Raises OSError or ValueError when the plan cannot be read.
    """
    plan = json.loads((state / "plan.json").read_text())
    informers = [Informer(client, resource) for resource in (INGRESSES, SERVICES, ENDPOINTSLICES)]
    changed = asyncio.Event()
    for informer in informers:
        informer.on_change(lambda _old, _new: changed.set())
    async with asyncio.TaskGroup() as group:
        for informer in informers:
            group.create_task(informer.run())
        for informer in informers:
            await informer.synced.wait()
        group.create_task(keep_published(client, informers[0], urlsplit(plan["ingress"]).hostname or ""))
        await _keep(Path(plan["haproxy_socket"]), detours.file(state), informers, changed)


async def _keep(socket: Path, faults: Path, informers: list[Informer], changed: asyncio.Event) -> None:
    trouble = ""
    while True:
        changed.clear()
        ingresses, services, slices = (informer.items() for informer in informers)
        try:
            async with Runtime(socket) as haproxy:
                await synchronise(haproxy, detoured(wanted(ingresses, services, slices), detours.read(faults)))
            now = ""
        except RuntimeApiError as error:
            now = str(error)
        if now != trouble:
            log.warning("%s", now or "HAProxy is back and in step")
            trouble = now
        # Nothing new from the API: look for faults, and whether HAProxy still does what it should.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN_S):
                await changed.wait()
