"""``muster faults``: list what the ledger still holds."""

from __future__ import annotations

import json
import time

import click

from muster.errors import MusterError, Unknown

ELSEWHERE = "else MUSTER_STATE names the state folder of the drill that did"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.option("--all", "show_all", is_flag=True, help="Healed faults too.")
def command(as_json: bool, show_all: bool) -> None:
    """List the faults that the ledger still holds, oldest first."""
    from muster.faults import Ledger, LedgerError
    from muster.system.units import duration

    ledger = Ledger()
    records = list(ledger.records())
    unreadable = [str(record) for record in records if isinstance(record, LedgerError)]
    entries = [entry for entry in records if not isinstance(entry, LedgerError) and (entry.open or show_all)]
    if as_json:
        faults = [entry.model_dump(by_alias=True, exclude={"undo"}) for entry in entries]
        listing = {
            "schema": "muster/faults/v1",
            "ledger": str(ledger.where),
            "faults": faults,
            "unreadable": unreadable,
        }
        print(json.dumps(listing, indent=1))
    else:
        for entry in entries:
            age = duration(round(time.time() - entry.opened_at))
            late = ", expired" if entry.open and entry.expired() else ""
            place = f"{entry.system}/{entry.environment} {entry.namespace}"
            print(f"{entry.id}  {entry.state}{late}  {age} ago  {place} {entry.target}  {entry.note}".rstrip())
        if ledger.kept and not entries and not unreadable:
            print(f"no faults are left in the ledger {ledger.where}")
    if not ledger.kept:
        raise Unknown(f"no drill has kept a ledger in {ledger.where}: fine if none ever ran from here, {ELSEWHERE}")
    if unreadable:
        raise MusterError("; ".join(unreadable))
