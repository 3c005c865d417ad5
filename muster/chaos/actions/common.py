"""What every action tells, and the undoing of faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from muster.chaos import shared, story
from muster.chaos.context import Configuration, field
from muster.chaos.exclusive import TakenError, busy
from muster.chaos.own import await_api
from muster.errors import MusterError
from muster.faults import Entry
from muster.faults import heal as heal_faults
from muster.timeline import Kind

CONFIRM_WITHIN = "60s"


@dataclass(frozen=True, kw_only=True)
class Order:
    """The fault that an action's arguments mean: its kind, its own arguments, and when it ends by itself."""

    kind: str
    how: dict[str, Any]
    expires_s: float


def heal(kind: str = "", configuration: Configuration = None) -> list[str]:
    """Undo every fault (of one kind) that is left here, if any; newest first.

    Raises :class:`MusterError` when one cannot be undone.
    """
    with field(configuration) as on:
        # An experiment that was refused because another one runs may still play its rollbacks: that one's are not ours.
        if holder := busy(on.system.name, on.env.name):
            raise TakenError(f"nothing was healed: the faults there are those of another experiment ({holder})")
        await_api(on.kube)
        results = heal_faults(on.ledger, on.kube, on.env, system=on.system.name, kind=kind or None)
    for result in results:
        if result.ok:
            story.tell(Kind.HEALED, source="muster", message=result.message, fault=result.id)
        else:
            story.tell(Kind.NOTE, source="muster", message=f"not healed: {result.message}", fault=result.id)
    failed = [result.message for result in results if not result.ok]
    if failed:
        raise MusterError(f"not healed: {'; '.join(failed)}")
    return [result.message for result in results]


def undo(kind: str = "", configuration: Configuration = None) -> list[str]:
    """Undo the fault as a person with the runbook would, where the runbook asks for a person: ``action: by-hand``."""
    return heal(kind, configuration)


def tell_injected(entry: Entry, message: str) -> None:
    """The API has accepted the fault: what was steady before it says nothing any more."""
    shared.forget()
    story.tell(Kind.FAULT_INJECTED, source="muster", at=entry.injected_at, message=message, fault=entry.id)
