"""Writes where an ingress is served into its status, which is the ADDRESS that ``kubectl get ingress`` shows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from lab.client import MERGE, Client
from lab.errors import ApiError
from lab.informer import Informer
from lab.resources import INGRESSES

TRY_AGAIN_S = 10.0
log = logging.getLogger(__name__)


async def keep_published(client: Client, ingresses: Informer, host: str) -> None:
    """Keep ``status.loadBalancer.ingress`` of every ingress at ``host``, until cancelled.

    A task of its own: an API that hangs must not hold up the routing of users.
    """
    changed = asyncio.Event()
    ingresses.on_change(lambda _old, _new: changed.set())
    while True:
        changed.clear()
        for ingress in ingresses.items():
            await _publish(client, ingress, host)
        with contextlib.suppress(TimeoutError):  # what was refused is tried again
            async with asyncio.timeout(TRY_AGAIN_S):
                await changed.wait()


async def _publish(client: Client, ingress: dict[str, Any], host: str) -> None:
    meta, held = ingress["metadata"], ingress.get("status") or {}
    status = {"loadBalancer": {"ingress": [{"ip": host}]}}
    if (held.get("loadBalancer") or {}).get("ingress") == status["loadBalancer"]["ingress"]:
        return
    try:
        await client.patch(
            INGRESSES, meta["namespace"], meta["name"], {"status": status}, kind=MERGE, subresource="status"
        )
    except ApiError as error:
        log.debug("the address of ingress %s/%s was not written: %s", meta["namespace"], meta["name"], error)
