"""Disruption budgets: a drain must be possible, and must not take everybody at once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.verdict import SLOWarning


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A PodDisruptionBudget over the workload's pods, as its controller last counted; ``seen``: its newest spec."""

    name: str
    seen: bool
    allowed: int
    expected: int
    healthy: int
    needed: int


def budgets(raw: list[Mapping[str, Any]]) -> tuple[Budget, ...]:
    """The typed view of the reading ``budgets``, by name."""
    return tuple(Budget(**entry) for entry in raw)


def assert_a_drain_is_possible(budgets: tuple[Budget, ...]) -> None:
    """Every budget lets a pod go now. Without any, a drain may take all replicas of a node at once: that warns.

    Two budgets over the same pods refuse every eviction, whatever they allow: so does the API.
    """
    names = ", ".join(budget.name for budget in budgets)
    claim(len(budgets) < 2, f"several disruption budgets cover the same pods ({names}): the API refuses every eviction")
    for budget in budgets:
        if not budget.seen:
            raise Unknown(f"disruption budget {budget.name}: the controller has not counted its newest spec")
        if not budget.expected:
            raise Unknown(f"disruption budget {budget.name} covers no pod now, so it cannot be told what it lets go")
        never = budget.needed >= budget.expected
        why = f"it always wants {budget.needed} of {budget.expected}" if never else "wait until they are healthy"
        counts = f"{budget.healthy} of {budget.expected} pods are healthy and {budget.needed} must be"
        claim(budget.allowed > 0, f"disruption budget {budget.name} lets no pod go ({counts}): {why}")
    if not budgets:
        message = "no disruption budget covers the pods: a drain may take all of a node's replicas at once"
        warnings.warn(message, SLOWarning, stacklevel=2)
