"""What people are told of a fault that is open: when it ends by itself, how it is undone, and by which command."""

from __future__ import annotations

import inspect
import time

from muster.faults.ledger import Entry, LedgerError
from muster.faults.registry import fault_of
from muster.system.units import duration


def ends(entry: Entry) -> str:
    """``ends by itself in 3m``, or that it should have."""
    left_s = round(entry.expires_at - time.time())
    return f"ends by itself in {duration(left_s)}" if left_s > 0 else f"expired {duration(-left_s)} ago"


def undone_so(entry: Entry) -> str:
    """What healing it does, the kind's own first sentence; nothing of the record, which may hold secrets."""
    try:
        return (inspect.getdoc(fault_of(entry).heal) or "").split("\n", 1)[0]
    except LedgerError as error:
        return str(error)


def heal_command(entry: Entry) -> str:
    """The command that undoes everything that is open in its place, with this ledger."""
    return f"muster heal --system {entry.system} --env {entry.environment}"


def named(entry: Entry) -> str:
    """One fault in a sentence."""
    return f"{entry.kind} of {entry.target} (fault {entry.id}, {ends(entry)})"
