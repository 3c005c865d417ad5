"""What a fault is about to do: decided and allowed, not done yet. Planning and injecting share it, so they agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from muster.errors import MusterError
from muster.faults import expiry, guard, marks
from muster.faults.ledger import Entry, Ledger, LedgerError
from muster.kube import Kube
from muster.system import Environment
from muster.workload import Json

EXPIRES_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One fault, aimed. ``sentences`` say exactly what ``act`` does, in order, without doing it.

    ``undo`` is what the kind's ``heal`` needs. ``touches`` are API paths of what carries the ledger's id while the
    fault is in force; ``act`` changes the world and returns a note, and is called at most once. ``pods`` is how many of
    the system's pods it touches, of ``ready`` ones.
    """

    kind: str
    namespace: str
    target: str
    sentences: tuple[str, ...]
    undo: Json
    act: Callable[[Entry], str]
    touches: tuple[str, ...] = ()
    pods: int = 0
    ready: int = 0


def carry_out(
    intent: Intent,
    ledger: Ledger,
    kube: Kube,
    env: Environment,
    *,
    system: str,
    heal: Callable[[Kube, Environment, Entry], str],
    expires_s: float = EXPIRES_S,
) -> Entry:
    """Inject what was intended: the record first, then the watchdog that ends it in time, the marks, and the fault.

    When anything on the way fails, what was begun is undone at once with ``heal``; if that fails too the record stays,
    for the watchdog and for ``muster heal``. The error that began it is raised.

    In a freeze, in production whose name was not typed back, where the faults that are open already leave no room for
    it, and where a record that cannot be read may be one of these, nothing is begun: Refused.

    Returns:
        The entry, state injected; ``injected_at`` is when the world began to be changed.
    """
    guard.may_begin(env)
    there = [entry for entry in _open(ledger) if (entry.system, entry.environment) == (system, env.name)]
    guard.allow_together(env, there, intent)
    entry = ledger.open(
        intent.kind,
        system=system,
        environment=env.name,
        server=kube.server,
        namespace=intent.namespace,
        target=intent.target,
        undo={**intent.undo, marks.UNDO: list(intent.touches)},
        expires_s=expires_s,
        pods=intent.pods,
        ready=intent.ready,
    )
    try:
        expiry.watch(ledger, entry)
    except MusterError as error:
        ledger.healed(entry, f"never injected: {error}")
        raise
    try:
        marks.put(kube, entry)
        at = time.time()
        note = intent.act(entry)
        return ledger.injected(entry, at=at, note=note)
    except MusterError as cause:
        try:
            heal(kube, env, entry)
            marks.remove(kube, entry)
            ledger.healed(entry, f"not injected: {cause}")
        except MusterError as error:
            cause.add_note(f"and it could not be undone at once, so its record stays: {error}")
        raise


def _open(ledger: Ledger) -> list[Entry]:
    """What is open. A record that cannot be read is no knowledge that nothing is: Refused."""
    records = list(ledger.records())
    for record in records:
        if isinstance(record, LedgerError):
            raise guard.Refused(f"which faults are open already is not known: {record}")
    return [record for record in records if isinstance(record, Entry) and record.open]
