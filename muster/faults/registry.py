"""Faults are found by walking this package: a module that has ``KIND`` and ``heal`` is a fault."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import Protocol, cast

import muster.faults
from muster.faults.ledger import Entry, LedgerError
from muster.kube import Kube
from muster.system import Environment


class Fault(Protocol):
    """What every fault module offers beside its own ``inject(...) -> Entry``."""

    KIND: str  # the module's own name, recorded in the ledger
    NEEDS: frozenset[str]  # what an environment must declare: "kubernetes", ...

    def heal(self, kube: Kube, env: Environment, entry: Entry) -> str:
        """Undo what the entry says, any number of times; returns what was done, in words. Raises MusterError."""


@cache
def faults() -> dict[str, Fault]:
    """Every fault by kind."""
    found = {}
    for module in pkgutil.iter_modules(muster.faults.__path__):
        candidate = import_module(f"muster.faults.{module.name}")
        if hasattr(candidate, "KIND") and hasattr(candidate, "heal"):
            found[candidate.KIND] = cast("Fault", candidate)
    return found


def fault_of(entry: Entry) -> Fault:
    """The module that can undo this entry. Raises :class:`LedgerError` for a kind nobody knows."""
    try:
        return faults()[entry.kind]
    except KeyError:
        known = ", ".join(sorted(faults()))
        raise LedgerError(f"fault {entry.id} is of the unknown kind {entry.kind!r} (known: {known})") from None
