"""The runbook's restart and scaling: proposed with the exact command, carried out only where that is allowed."""

from __future__ import annotations

import time
from dataclasses import dataclass

from muster.errors import MusterError
from muster.release import Prescription, command_for, current, prescribe
from muster.responder.decide import UNDER_WAY, Refusal
from muster.responder.journal import Journal
from muster.responder.lock import Intent, LockState
from muster.responder.strategy import World
from muster.responder.webhook import Alert
from muster.system.freeze import frozen
from muster.system.rollback import Remedy


@dataclass(frozen=True)
class Remedies:
    """What is decided about remedies other than a rollback."""

    world: World
    journal: Journal

    @staticmethod
    def asked(alert: Alert) -> Remedy | None:
        """The remedy that the alert's action names, None for any other action."""
        actions: dict[str, Remedy] = {"restart": "restart", "scale": "scale"}
        return actions.get(alert.action)

    def propose(self, alert: Alert, remedy: Remedy | None) -> None:
        """Put it on record for people, with what is in its way when that can be read. Never raises."""
        if remedy is None:
            self.journal.proposed(alert, f"the runbook's action is {alert.action}, which is for people")
            return
        world = self.world
        command = command_for(world.system, world.env, remedy)
        try:
            obstacle = prescribe(world.kube, world.system, world.env, remedy).obstacle
        except MusterError as error:
            obstacle = f"whether it can be done is not known: {error}"
        why = f"{command}" + (f" (but {obstacle})" if obstacle else "")
        self.journal.proposed(alert, why, remedy=remedy, command=command, obstacle=obstacle)

    def decide(self, alert: Alert, state: LockState, holder: str, *, work_s: float) -> Intent | Refusal:
        """What is to be done, or why not. Raises KubeError, Unknown. What others do ends within ``work_s`` seconds."""
        remedy, world = self.asked(alert), self.world
        assert remedy is not None  # noqa: S101 - asked before
        now = time.time()
        if holder:
            why = f"a rollback or remedy is already under way, held by {holder}"
            return Refusal(UNDER_WAY, why, passing=True, ends_at=now + work_s)
        last, cool_down_s = state.remedied.get(remedy), world.env.scaled(world.env.rollback.remedy_cool_down_s)
        if last is not None and now < last + cool_down_s:
            why = f"the last {remedy} was {now - last:.0f}s ago, and remedy_cool_down is {cool_down_s:g}s"
            return Refusal("cool-down", why, passing=True, ends_at=last + cool_down_s)
        why = frozen(world.env.freeze, now)
        if why:
            return Refusal("freeze", why, passing=True)
        plan: Prescription = prescribe(world.kube, world.system, world.env, remedy)
        if plan.obstacle:
            return Refusal("cannot be met", plan.obstacle, passing=False)
        bad = current(world.kube, world.env)
        return Intent(
            alert=alert.name,
            key=alert.key,
            bad=bad,
            target=bad,
            decided_at=now,
            remedy=remedy,
            replicas=plan.replicas,
        )

    def decided(self, alert: Alert, intent: Intent) -> None:
        """Put the decision on record."""
        remedy = self.asked(alert) or "restart"
        command = command_for(self.world.system, self.world.env, remedy)
        self.journal.decided(alert, remedy, command, final=True, command=command)
