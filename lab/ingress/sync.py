"""Brings HAProxy from what it does to what it should do, in an order in which no request is lost.

Level-based: each pass reads HAProxy's own state and changes the difference. New endpoints come in before routes lead to
them, routes leave before their endpoints do, and an endpoint that leaves is drained: no new requests, no cut.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from lab.ingress.haproxy import MAPS, pool_names
from lab.ingress.routes import Wanted
from lab.ingress.runtime import Endpoint, Runtime, Slot

log = logging.getLogger(__name__)


@dataclass
class PoolPlan:
    """What to do to one pool: slots to fill, slots to empty, and those that have been emptying since before."""

    give: list[tuple[str, Endpoint]] = field(default_factory=list)
    drain: list[Slot] = field(default_factory=list)
    drained: list[Slot] = field(default_factory=list)
    missing: int = 0  # endpoints for which no slot was free


async def synchronise(haproxy: Runtime, wanted: Wanted) -> None:
    """One pass. Raises :class:`~lab.ingress.runtime.RuntimeApiError` when HAProxy is not there; just call again."""
    maps = {name: await haproxy.read_map(name) for name in MAPS}
    pools = assign(wanted.endpoints, maps["pools.map"])
    plans = []
    for pool in sorted({*pools.values(), *maps["pools.map"].values()}):
        service = next((service for service, its in pools.items() if its == pool), "")
        plan = plan_pool(await haproxy.slots(pool), wanted.endpoints.get(service, frozenset()))
        plans.append((pool, plan))
        if plan.missing:
            log.warning("%s has %d endpoints more than %s has slots", service, plan.missing, pool)
        for slot, endpoint in plan.give:
            log.info("%s: %s in", service, endpoint)
            await haproxy.give(slot, endpoint)
    await _write_maps(haproxy, maps, {**wanted.maps, "pools.map": pools})
    for pool, plan in plans:
        for leaving in plan.drain:
            log.info("%s out (%s drains)", leaving.endpoint, leaving.name)
            await haproxy.set_mode(leaving.name, "drain")
        if plan.drained:
            await _free(haproxy, pool, plan.drained)


def assign(services: Iterable[str], held: dict[str, str]) -> dict[str, str]:
    """A pool for each service: the one it has, else one that nobody has. Services without a pool are left out."""
    pools = {service: held[service] for service in services if service in held}
    free = [name for name in pool_names() if name not in held.values()]
    for service in services:
        if service not in pools:
            if not free:
                log.error("no pool is left for %s: it cannot be reached", service)
                continue
            pools[service] = free.pop(0)
    return pools


def plan_pool(slots: list[Slot], endpoints: frozenset[Endpoint]) -> PoolPlan:
    """What makes the ready slots of a pool exactly these endpoints."""
    plan, served = PoolPlan(), set()
    for slot in slots:
        if slot.mode == "ready":
            if slot.endpoint in endpoints and slot.endpoint not in served:
                served.add(slot.endpoint)
            else:
                plan.drain.append(slot)
    back = {slot.endpoint: slot for slot in slots if slot.mode == "drain" and slot.endpoint in endpoints}
    free = [slot.name for slot in slots if slot.mode == "maint"]
    for endpoint in sorted(endpoints - served, key=str):
        if endpoint in back:
            plan.give.append((back[endpoint].name, endpoint))
        elif free:
            plan.give.append((free.pop(0), endpoint))
        else:
            plan.missing += 1
    given = {name for name, _ in plan.give}
    plan.drained = [slot for slot in slots if slot.mode == "drain" and slot.name not in given]
    return plan


async def _write_maps(haproxy: Runtime, held: dict[str, dict[str, str]], wanted: dict[str, dict[str, str]]) -> None:
    for name in MAPS:
        for key, value in wanted[name].items():
            if held[name].get(key) != value:
                await haproxy.put(name, key, value, new=key not in held[name])
    for name in reversed(MAPS):
        for key in held[name].keys() - wanted[name].keys():
            await haproxy.drop(name, key)


async def _free(haproxy: Runtime, pool: str, drained: list[Slot]) -> None:
    """Let slots be given again once their last request has ended."""
    busy = await haproxy.busy(pool)
    for slot in drained:
        if slot.name not in busy:
            await haproxy.set_mode(slot.name, "maint")
