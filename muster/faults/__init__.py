"""Faults: pairs of inject and heal, with a record on disk written before injection."""

from muster.faults.guard import Refused
from muster.faults.healing import Healed, heal
from muster.faults.ledger import Entry, Ledger, LedgerError
from muster.faults.registry import HasPods, faults, inject, plan

__all__ = ["Entry", "HasPods", "Healed", "Ledger", "LedgerError", "Refused", "faults", "heal", "inject", "plan"]
