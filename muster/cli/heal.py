"""``muster heal``: undo every fault that is left, from a new process, any number of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from muster.faults import Entry


@click.command()
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
    if env_name in system.environments and not any(
        isinstance(record, LedgerError) or (record.open and record.environment == env_name)
        for record in ledger.records()
    ):  # then it need not run, and load_environment() would ask for that
        print(f"no faults are left in {system_name}/{env_name}")
        return 0
    env = load_environment(system, env_name)
    if env.kubernetes is None:
        raise UsageError(f"environment {env_name} declares no kubernetes, so it has no faults to heal")
    with Kube(load_access(env.kubernetes.kubeconfig, env.kubernetes.context)) as kube:
        results = heal(ledger, kube, env, system=system.name, only=only)
    for result in results:
        print(f"{result.id}: {result.message}" if result.ok else f"NOT HEALED {result.message}")
    if not results:
        print(f"no faults are left in {system.name}/{env_name}")
    return 0 if all(result.ok for result in results) else 1


def _of_here(entry: Entry, system: str, environment: str) -> None:
    """A fault of somewhere else is not healed here, and "no faults are left" would say that it was."""
    from muster.errors import UsageError

    if (entry.system, entry.environment) != (system, environment):
        raise UsageError(
            f"fault {entry.id} is of {entry.system}/{entry.environment}, not of {system}/{environment}; "
            f"say --system {entry.system} --env {entry.environment}"
        )
