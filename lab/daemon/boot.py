"""The order in which a lab comes up; whatever does not depend on something else happens at the same time."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import lab
from lab.daemon import alertmanager, components, manifests, prometheus
from lab.daemon.conditions import Condition, until
from lab.daemon.folder import Folder, write_private
from lab.daemon.supervisor import Supervisor
from lab.daemon.world import World

BOOT_TIMEOUT_S = 60.0
MANIFESTS = Path(lab.__file__).parent / "manifests"


def configure(folder: Folder, plan: dict[str, str]) -> bool:
    """Clear what an earlier lab in this folder stored, and write the configuration of the real programs.

    Returns whether Prometheus discovers pods by itself (otherwise :func:`lab.daemon.discovery.follow` must run).
    """
    from lab.ingress import haproxy

    for old in (folder.data, folder.root / "pods"):
        shutil.rmtree(old, ignore_errors=True)
    for stale in (*folder.logs.glob("*.log"), folder.root / "inbox.jsonl", folder.root / "api-store.json"):
        if stale.name != "daemon.log":
            stale.unlink(missing_ok=True)
    for made in (folder.data, folder.logs, folder.config / "rules"):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(components.haproxy_configuration(folder), haproxy.render(plan))
    for path in haproxy.map_files(plan):
        write_private(path, "")
    if not alertmanager.configuration_file(folder).is_file():
        write_private(alertmanager.configuration_file(folder), alertmanager.NOBODY)
    return prometheus.configure(folder, plan)


async def boot(plan: dict[str, str], supervisor: Supervisor, world: World, say: Callable[[str], None]) -> None:
    """Start everything and return when the lab does all that it is for. Raises :class:`lab.errors.LabError`."""
    began = time.monotonic()
    objects = manifests.read(MANIFESTS, plan)
    # Prometheus looks at what it has discovered every 5 s from its own start, not scaled and not configurable: first.
    independent = ("prometheus", "api", "haproxy", "sink")

    async def told(what: str, doing: Awaitable[None]) -> None:
        await doing
        say(f"{time.monotonic() - began:4.1f} s  {what}")

    async def holds(what: str, condition: Condition) -> None:
        await told(what, until(condition, what, BOOT_TIMEOUT_S))

    async def runs(name: str) -> None:
        await told(f"{name} runs", supervisor.start(name, BOOT_TIMEOUT_S))

    async def populate() -> None:
        await told("manifests applied", manifests.apply(world.client, objects))
        await holds("deployments available", world.deployments_available)  # before it there are no pods to look for
        async with asyncio.TaskGroup() as conditions:
            conditions.create_task(holds("users served through the ingress", world.users_are_served))
            conditions.create_task(holds("every pod scraped by Prometheus", world.targets_are_scraped))
            conditions.create_task(holds("every rule evaluated", world.rules_are_evaluated))
        # Last: until pods are scraped the system is down for the rules, and on a slow machine somebody would be paged.
        await runs("alertmanager")
        await holds("alerts have somewhere to go", world.alerts_have_somewhere_to_go)

    async with asyncio.TaskGroup() as together:
        started = {name: together.create_task(runs(name)) for name in independent}
        await started["api"]
        together.create_task(populate())
        for name in supervisor.names:
            if name not in {*independent, "alertmanager"}:
                together.create_task(runs(name))
