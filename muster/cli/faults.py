"""``muster faults``: list what the ledger still holds."""

from __future__ import annotations

import json
import time

import click

from muster.errors import MusterError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.option("--all", "show_all", is_flag=True, help="Healed faults too.")
def command(as_json: bool, show_all: bool) -> None:
    """List the faults that the ledger still holds, oldest first."""
    from muster.faults import Ledger, LedgerError
    from muster.system.units import duration

    records = list(Ledger().records())
    unreadable = [str(record) for record in records if isinstance(record, LedgerError)]
    entries = [entry for entry in records if not isinstance(entry, LedgerError) and (entry.open or show_all)]
    if as_json:
        faults = [entry.model_dump(by_alias=True, exclude={"undo"}) for entry in entries]
        print(json.dumps({"schema": "muster/faults/v1", "faults": faults, "unreadable": unreadable}, indent=1))
    else:
        for entry in entries:
            age = duration(round(time.time() - entry.opened_at))
            late = ", expired" if entry.open and entry.expired() else ""
            place = f"{entry.system}/{entry.environment} {entry.namespace}"
            print(f"{entry.id}  {entry.state}{late}  {age} ago  {place} {entry.target}  {entry.note}".rstrip())
        if not entries and not unreadable:
            print("no faults are left")
    if unreadable:
        raise MusterError("; ".join(unreadable))
