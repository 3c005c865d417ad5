"""``muster heal``: undo every fault that is left, from a new process, any number of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from muster.faults import Entry, Ledger
    from muster.faults.strays import Stray
    from muster.system import System


EPILOG = (
    "Exit codes: 0 nothing is left, 1 something is (it could not be undone, or is open in another environment of this "
    "ledger, which is named with the command that undoes it), 4 usage, 6 whether something is left is not known. With "
    "--only it is about that one fault."
)


@click.command(epilog=EPILOG)
@click.option("--system", "system_name", envvar="MUSTER_SYSTEM", default="x0tta6bl4", show_default=True)
@click.option("--env", "env_name", envvar="MUSTER_ENV", default="lab", show_default=True)
@click.option("--only", metavar="ID", help="Heal this one fault.")
@click.option("--forget", metavar="ID", help="Drop this record without healing: its cluster is gone.")
def command(system_name: str, env_name: str, only: str | None, forget: str | None) -> int:
    """Undo every fault that is left in the environment."""
    from muster.errors import UsageError
    from muster.faults import Ledger, LedgerError, heal
    from muster.kube import Kube, load_access
    from muster.system import load_environment, load_system

    ledger = Ledger()
    if forget:
        ledger.forget(forget)
        print(f"{forget}: forgotten")
        return 0
    if only:
        _of_here(ledger.get(only), system_name, env_name)
    system = load_system(system_name)
    left = any(
        isinstance(record, LedgerError) or (record.open and _place(record) == (system.name, env_name))
        for record in ledger.records()
    )
    if not left and env_name in system.environments:
        return _none_left(ledger, system, env_name, only)
    env = load_environment(system, env_name)
    if env.kubernetes is None:
        raise UsageError(f"environment {env_name} declares no kubernetes, so it has no faults to heal")
    with Kube(load_access(env.kubernetes.kubeconfig, env.kubernetes.context)) as kube:
        results = heal(ledger, kube, env, system=system.name, only=only)
    for result in results:
        print(f"{result.id}: {result.message}" if result.ok else f"NOT HEALED {result.message}")
    if not results:
        return _none_left(ledger, system, env_name, only)
    elsewhere = 0 if only else _elsewhere(ledger, system, env_name)
    return elsewhere if all(result.ok for result in results) else 1


def _none_left(ledger: Ledger, system: System, env_name: str, only: str | None) -> int:
    """This ledger holds no open fault of the environment: whether that means that none is left there.

    Whoever asked for one fault only, as its watchdog does, is told of that one.

    The environment need not run (a lab that is down has no faults), but where it does, its marks are asked.

    Raises :class:`~muster.errors.Unknown` when there is no such ledger, or a mark of a fault that another one holds.
    """
    from muster.cli.faults import ELSEWHERE
    from muster.errors import MusterError, Unknown
    from muster.faults.strays import strays
    from muster.kube import Kube, load_access
    from muster.system import load_environment

    if only:
        print(f"{only}: it is healed already, by the ledger {ledger.where}")
        return 0
    place = f"{system.name}/{env_name}"
    found: list[Stray] = []
    try:
        env = load_environment(system, env_name)
        if env.kubernetes is None:
            looked = "it declares no cluster"
        else:
            with Kube(load_access(env.kubernetes.kubeconfig, env.kubernetes.context), timeout_s=2.0) as kube:
                found, unseen = strays(kube, env, ledger)
            looked = f"this account may not list {', '.join(unseen)}" if unseen else "and no mark of another's there"
    except MusterError as error:
        looked = f"its objects could not be asked for marks: {error}"
    if found:
        raise Unknown(
            f"{place} carries marks of faults that are not in the ledger {ledger.where}: "
            f"{', '.join(map(str, found))}; they are healed where their drill ran (MUSTER_STATE names its state "
            "folder), or by their watchdog"
        )
    if not ledger.kept:
        raise Unknown(
            f"whether faults are left in {place} is not known: no drill has kept a ledger in {ledger.where}, "
            f"which is fine if none ever ran from here, {ELSEWHERE} ({looked})"
        )
    print(f"no faults are left in {place} by the ledger {ledger.where} ({looked})")
    return _elsewhere(ledger, system, env_name)


def _elsewhere(ledger: Ledger, system: System, env_name: str) -> int:
    """Name what the ledger holds open in other places: whoever has just healed the default one may take it for all.

    Returns the exit code: 1 where there is any.
    """
    from muster.faults.words import heal_command, named

    others = [entry for entry in ledger.left() if _place(entry) != (system.name, env_name)]
    for entry in others:
        whose = f", of process {entry.pid}, which is alive" if entry.owned else ""
        print(f"STILL OPEN in {'/'.join(_place(entry))}: {named(entry)}{whose}; undone by `{heal_command(entry)}`")
    return 1 if others else 0


def _place(entry: Entry) -> tuple[str, str]:
    return entry.system, entry.environment


def _of_here(entry: Entry, system: str, environment: str) -> None:
    """A fault of somewhere else is not healed here, and "no faults are left" would say that it was."""
    from muster.errors import UsageError

    if (entry.system, entry.environment) != (system, environment):
        raise UsageError(
            f"fault {entry.id} is of {entry.system}/{entry.environment}, not of {system}/{environment}; "
            f"say --system {entry.system} --env {entry.environment}"
        )
