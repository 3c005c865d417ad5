"""What earlier drills have left in a place, found before anything begins there: a drill over it would judge it, too.

Whoever asks holds the place alone (:mod:`muster.chaos.exclusive`), so no drill that lives owns what is open. A fault
that somebody has injected by hand, by a process that is still there, is that somebody's to undo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from muster.chaos.context import open_kube
from muster.chaos.own import await_api
from muster.chaos.patience import patience
from muster.errors import MusterError, Unknown
from muster.faults import Entry, Ledger, LedgerError, heal
from muster.faults.strays import Stray, strays
from muster.faults.words import named
from muster.kube import Kube
from muster.system import Environment

Say = Callable[[str], None]
HOW = "muster faults lists what is open, muster heal undoes it"


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """What is open in one place by this ledger, and what carries a mark that it does not know."""

    open: tuple[Entry, ...] = ()
    unreadable: tuple[str, ...] = ()
    marked: tuple[Stray, ...] = ()
    unseen: tuple[str, ...] = ()  # API paths that this account may not list

    @property
    def told(self) -> tuple[str, ...]:
        """What would be healed before a drill begins, and what could not be looked at, a sentence each."""
        lines = [f"an earlier drill left {named(entry)}: it is healed first" for entry in self.open if not entry.owned]
        if self.unseen:
            lines.append(f"this account may not list {', '.join(self.unseen)}, so marks of faults there are not seen")
        return tuple(lines)

    def refused(self, place: str) -> MusterError | None:
        """Why nothing may begin there, where healing would not help; None: nothing speaks against it."""
        if self.unreadable:
            return Unknown(
                f"nothing begins in {place}: whether a fault is open is not known: {'; '.join(self.unreadable)}"
            )
        if self.marked:
            return Unknown(
                f"nothing begins in {place}: it carries marks of faults that are not in this ledger: "
                f"{', '.join(map(str, self.marked))}; where their drill ran (MUSTER_STATE names its state folder), "
                f"{HOW}; whoever has looked that nothing is left of one takes its annotations muster.dev/fault off"
            )
        if owned := [entry for entry in self.open if entry.owned]:
            whose = ", ".join(f"{named(entry)}, of process {entry.pid}, which is alive" for entry in owned)
            return MusterError(f"nothing begins in {place} while faults are in force there: {whose}; {HOW}")
        return None


def find(system: str, env: Environment, kube: Kube | None) -> Leftovers:
    """Look; nothing is changed. Raises :class:`~muster.kube.KubeError` when the API is out of reach."""
    ledger = Ledger()
    records = list(ledger.records())
    here = (record for record in records if isinstance(record, Entry) and record.open)
    marked, unseen = strays(kube, env, ledger) if kube is not None else ([], [])
    return Leftovers(
        open=tuple(entry for entry in here if (entry.system, entry.environment) == (system, env.name)),
        unreadable=tuple(str(record) for record in records if isinstance(record, LedgerError)),
        marked=tuple(marked),
        unseen=tuple(unseen),
    )


def clear(system: str, env: Environment, say: Say) -> None:
    """Undo what earlier drills have left; the place must be held alone.

    Args:
        system: The place's system.
        env: The place's environment.
        say: Told of each fault, a sentence.

    Raises:
        MusterError: Something could not be undone, a process that is alive keeps a fault there, or (Unknown) a record
            cannot be read or a mark is of no fault in this ledger. The sentence names it, and what helps.
    """
    place = f"{system}/{env.name}"
    if env.kubernetes is None:
        found = find(system, env, None)
        _refuse(found.refused(place))
        if found.open:
            names = ", ".join(map(named, found.open))
            raise MusterError(
                f"nothing begins in {place}: {names} is left, and it declares no kubernetes to undo it; {HOW}"
            )
        return
    with open_kube(env) as kube:
        found = find(system, env, kube)
        _refuse(found.refused(place))
        for line in found.told:
            say(line)
        if found.open:
            _heal(system, env, kube, say)


def _heal(system: str, env: Environment, kube: Kube, say: Say) -> None:
    with patience(say):
        await_api(kube)
        results = heal(Ledger(), kube, env, system=system)
    for result in results:
        if result.ok:
            say(f"healed: {result.message}")
    if failed := [f"fault {result.id}: {result.message}" for result in results if not result.ok]:
        raise MusterError(
            f"nothing begins in {system}/{env.name}: what an earlier drill left could not be undone: "
            f"{'; '.join(failed)}; {HOW}"
        )


def _refuse(error: MusterError | None) -> None:
    if error is not None:
        raise error
