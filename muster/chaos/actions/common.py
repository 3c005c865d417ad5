"""What every action tells, and the undoing of faults."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import Any

from muster.chaos import shared, story
from muster.chaos.context import Configuration, Field, field
from muster.chaos.exclusive import TakenError, busy
from muster.chaos.own import await_api
from muster.errors import MusterError
from muster.faults import Entry
from muster.faults import heal as heal_faults
from muster.timeline import Kind
from muster.wait import TimedOut

CONFIRM_WITHIN = "55s"  # over what a rollout takes in the environment
TWICE = 2.0  # for two alerts one after the other: one to see the fault, one to be outlasted


@dataclass(frozen=True, kw_only=True)
class Order:
    """The fault that an action's arguments mean: its kind, its own arguments, and when it ends by itself.

    ``explicit``: the experiment says itself when that is.
    """

    kind: str
    how: dict[str, Any]
    expires_s: float
    explicit: bool = False

    def outlasting(self, told_s: float) -> Order:
        """The same, there for twice as long as alerts take to tell of it, unless the experiment says for how long."""
        return self if self.explicit else replace(self, expires_s=max(self.expires_s, math.ceil(TWICE * told_s)))


def told_s() -> float:
    """How long after the fault the last alert that the experiment is about would tell of it; 0 when none is recorded.

    In seconds; :func:`muster.chaos.needs.told_s`, as it was recorded when the experiment began.
    """
    told = story.current()
    begun = told.timeline().first(Kind.DRILL_STARTED) if told is not None else None
    return float(begun.data.get("told_s", 0.0)) if begun is not None else 0.0


def heal(kind: str = "", configuration: Configuration = None) -> list[str]:
    """Undo every fault (of one kind) that is left here, if any; newest first.

    Raises :class:`MusterError` when one cannot be undone.
    """
    with field(configuration) as on:
        # An experiment that was refused because another one runs may still play its rollbacks: that one's are not ours.
        if holder := busy(on.system.name, on.env.name):
            raise TakenError(f"nothing was healed: the faults there are those of another experiment ({holder})")
        if others := [entry for entry in _here(on) if entry.owned and entry.pid != os.getpid()]:
            names = ", ".join(f"{entry.id} is of process {entry.pid}" for entry in others)
            raise TakenError(f"nothing was healed: fault {names}, which is alive and no drill; muster heal undoes it")
        try:
            await_api(on.kube)
        except TimedOut as error:
            _tell_left(on, kind, str(error))
            raise
        results = heal_faults(on.ledger, on.kube, on.env, system=on.system.name, kind=kind or None)
    for result in results:
        if result.ok:
            story.tell(Kind.HEALED, source="muster", message=result.message, fault=result.id)
        else:
            _tell_unhealed(result.id, result.message)
    failed = [result.message for result in results if not result.ok]
    if failed:
        raise MusterError(f"not healed: {'; '.join(failed)}")
    return [result.message for result in results]


def _tell_left(on: Field, kind: str, why: str) -> None:
    """Nothing could be tried: each fault that is left is known not to be undone, and not merely not known to be."""
    for entry in _here(on):
        if kind in ("", entry.kind):
            _tell_unhealed(entry.id, why)


def _here(on: Field) -> list[Entry]:
    """What is open in this place."""
    return [entry for entry in on.ledger.left() if (entry.system, entry.environment) == (on.system.name, on.env.name)]


def _tell_unhealed(fault: str, why: str) -> None:
    story.tell(Kind.NOTE, source="muster", message=f"not healed: {why}", fault=fault)


def undo(kind: str = "", configuration: Configuration = None) -> list[str]:
    """Undo the fault as a person with the runbook would, where the runbook asks for a person: ``action: by-hand``."""
    return heal(kind, configuration)


def tell_injected(entry: Entry, message: str) -> None:
    """The API has accepted the fault: what was steady before it says nothing any more."""
    shared.forget()
    story.tell(Kind.FAULT_INJECTED, source="muster", at=entry.injected_at, message=message, fault=entry.id)
