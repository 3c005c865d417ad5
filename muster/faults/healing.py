"""Undo what the ledger holds, from any process, any number of times."""

from __future__ import annotations

from dataclasses import dataclass

from muster.errors import MusterError
from muster.faults import marks
from muster.faults.guard import same_cluster
from muster.faults.ledger import Entry, Ledger, LedgerError
from muster.faults.registry import fault_of
from muster.kube import Kube
from muster.system import Environment


@dataclass(frozen=True)
class Healed:
    """What became of one record. ``ok`` is whether nothing is left of the fault; the message says why."""

    id: str
    kind: str
    ok: bool
    message: str


def heal(
    ledger: Ledger,
    kube: Kube,
    env: Environment,
    *,
    system: str | None = None,
    only: str | None = None,
    kind: str | None = None,
) -> list[Healed]:
    """Undo every fault of this environment (system, kind) that is left, newest first; ``only`` names a single one.

    Faults of other environments are not this call's business. One that cannot be undone, or a record that cannot be
    read, is in the result with its sentence and hinders no other.
    """
    results = []
    for record in reversed(list(ledger.records())):
        if isinstance(record, LedgerError):
            if only is None and kind is None:
                results.append(Healed("", "", ok=False, message=str(record)))
        elif (
            record.open
            and record.environment == env.name
            and system in (None, record.system)
            and only in (None, record.id)
            and kind in (None, record.kind)
        ):
            results.append(_heal_one(ledger, kube, env, record))
    return results


def _heal_one(ledger: Ledger, kube: Kube, env: Environment, entry: Entry) -> Healed:
    try:
        same_cluster(entry, env, kube)
        note = fault_of(entry).heal(kube, env, entry)
        marks.remove(kube, entry)
        ledger.healed(entry, note)
    except MusterError as error:
        return Healed(entry.id, entry.kind, ok=False, message=str(error))
    except (KeyError, TypeError) as error:
        what = f"the undo record of fault {entry.id} cannot be used: {type(error).__name__} {error}"
        return Healed(entry.id, entry.kind, ok=False, message=what)
    return Healed(entry.id, entry.kind, ok=True, message=note)
