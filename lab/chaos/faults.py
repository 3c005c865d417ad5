"""The faults by kind: what it means to bring one to a target, to hold it there and to lift it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.chaos import pods
from lab.chaos.network import Network
from lab.chaos.spec import NETWORK, STRESS, Plan
from lab.chaos.stress import Find, Stress
from lab.client import Client
from lab.errors import LabError
from lab.informer import Informer
from lab.resources import Resource

Object = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """One object, as far as its faults must know it; ``instances`` are the container runs under stress, by target."""

    kind: Resource
    uid: str
    plan: Plan
    instances: Object = field(default_factory=dict)


@dataclass(frozen=True)
class NodeAgent:
    """As much of the node agent as faults need: pods as it runs them and as the API has them, an image of nothing."""

    client: Client
    find: Find
    known: Informer
    pause: Callable[[], str]
    state: Path


class Faults:
    """Whatever is in force now. ``bring`` and ``lift`` raise :class:`LabError` when it cannot be done now."""

    def __init__(self, node: NodeAgent) -> None:
        self._node = node
        self.network = Network(node.state)
        self.stress = Stress(node.find)

    async def bring(self, order: Order, entry: Object) -> None:
        """Have the target of a record suffer."""
        node, target = self._node, entry["id"]
        if order.kind is NETWORK:
            pod = node.known.by_key(target)
            await self.network.bring(order.uid, order.plan, entry["selectorKey"], target, pod)
        elif order.kind is STRESS:
            order.instances[target] = {"uid": self.stress.bring(order.uid, order.plan, target)}
        elif order.plan.action == "pod-kill":
            await pods.kill(node.client, target, order.plan.grace_s)
        elif order.plan.action == "container-kill":
            pods.kill_container(node.find, target)
        else:
            await pods.fail(node.client, order.uid, target, node.pause())

    async def hold(self, order: Order, entry: Object) -> None:
        """What is injected stays so under a new agent, on the same pod and the same run of its container."""
        uid, target = order.uid, entry["id"]
        try:
            if order.kind is NETWORK:
                pod = self._node.known.by_key(target)
                await self.network.bring(uid, order.plan, entry["selectorKey"], target, pod)
            elif order.kind is STRESS and not self.stress.brings(uid, target) and self._same_run(order, target):
                self.stress.bring(uid, order.plan, target)
        except LabError as error:
            _log.debug("nothing to hold on %s: %s", target, error)

    async def lift(self, order: Order, entry: Object) -> None:
        """Have it suffer no longer; a target that is gone does not."""
        target = entry["id"]
        if order.kind is NETWORK:
            await self.network.lift(order.uid, entry["selectorKey"], target)
        elif order.kind is STRESS:
            order.instances.pop(target, None)
            await self.stress.lift(order.uid, target)
        elif order.plan.action == "pod-failure":
            await pods.heal(self._node.client, order.uid, target)

    async def forget(self, uid: str) -> None:
        """The object is gone, and whatever it has left here goes, too."""
        await self.network.lift_all(uid)
        await self.stress.lift_all(uid)

    async def close(self) -> None:
        """The agent ends, and with it what depends on it."""
        await self.network.close()
        await self.stress.close()

    def _same_run(self, order: Order, target: str) -> bool:
        namespace, name, wanted = target.split("/")
        pod = self._node.find(namespace, name)
        runs = {each.name: each.state.container_id for each in pod.containers} if pod else {}
        return wanted in runs and (order.instances.get(target) or {}).get("uid") == runs[wanted]
