"""Faults are found by walking this package: a module that has ``KIND`` and ``heal`` is a fault.

A new fault is one file: what it needs, ``intend`` (aim, ask the guard, say what would be done), ``confirm``, ``heal``.
"""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import muster.faults
from muster.errors import UsageError
from muster.faults.intent import EXPIRES_S, Intent, carry_out
from muster.faults.ledger import Entry, Ledger, LedgerError
from muster.kube import Kube
from muster.system import Environment
from muster.workload import Json


class Fault(Protocol):
    """What every fault module offers."""

    KIND: str  # the module's own name, recorded in the ledger
    NEEDS: frozenset[str]  # what an environment must declare or its cluster serve: "kubernetes", "chaos-mesh", ...

    def intend(self, kube: Kube, env: Environment, **how: Any) -> Intent:
        """Aim, ask the guard and say what would be done; changes nothing. Raises MusterError."""

    def confirm(self, kube: Kube, env: Environment, entry: Entry, *, timeout_s: float) -> float:
        """Wait until the fault is seen to be in force; returns when, in seconds since the epoch. Raises MusterError."""

    def heal(self, kube: Kube, env: Environment, entry: Entry) -> str:
        """Undo what the entry says, any number of times; returns what was done, in words. Raises MusterError."""


@runtime_checkable
class HasPods(Protocol):
    """A fault that comes with pods of its own, which Prometheus has still to discover."""

    def pods_of(self, kube: Kube, entry: Entry) -> list[Json]:
        """Those pods, the terminating ones left out. Raises KubeError."""


@cache
def faults() -> dict[str, Fault]:
    """Every fault by kind."""
    found = {}
    for module in pkgutil.iter_modules(muster.faults.__path__):
        candidate = import_module(f"muster.faults.{module.name}")
        if hasattr(candidate, "KIND") and hasattr(candidate, "heal"):
            found[candidate.KIND] = cast("Fault", candidate)
    return found


def intend(kind: str, kube: Kube, env: Environment, **how: Any) -> Intent:
    """What a fault of this kind would do now, aimed and allowed; nothing is touched.

    Raises :class:`~muster.errors.UsageError` for a kind or an argument that does not exist, and what the kind raises.
    """
    fault = faults().get(kind)
    if fault is None:
        raise UsageError(f"there is no fault {kind!r} (known: {', '.join(sorted(faults()))})")
    try:
        inspect.signature(fault.intend).bind(kube, env, **how)
    except TypeError as error:
        raise UsageError(f"fault {kind}: {error}") from None
    return fault.intend(kube, env, **how)


def plan(kind: str, kube: Kube, env: Environment, **how: Any) -> list[str]:
    """Exactly what :func:`inject` would do with the same arguments, a sentence for each step. Pods are chosen anew."""
    return list(intend(kind, kube, env, **how).sentences)


def inject(
    kind: str, ledger: Ledger, kube: Kube, env: Environment, *, system: str, expires_s: float = EXPIRES_S, **how: Any
) -> Entry:
    """Inject a fault of any kind: record, watchdog, marks, fault. ``how`` is the kind's own ``intend``'s.

    Raises what :func:`intend` raises, and MusterError when it could not be injected; then it was undone at once.
    """
    intent = intend(kind, kube, env, **how)
    return carry_out(intent, ledger, kube, env, system=system, heal=faults()[kind].heal, expires_s=expires_s)


def fault_of(entry: Entry) -> Fault:
    """The module that can undo this entry. Raises :class:`LedgerError` for a kind nobody knows."""
    try:
        return faults()[entry.kind]
    except KeyError:
        known = ", ".join(sorted(faults()))
        raise LedgerError(f"fault {entry.id} is of the unknown kind {entry.kind!r} (known: {known})") from None
