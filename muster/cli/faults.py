"""``muster faults``: list what the ledger still holds."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from muster.errors import MusterError, Unknown

if TYPE_CHECKING:
    from muster.faults import Entry

ELSEWHERE = "else MUSTER_STATE names the state folder of the drill that did"


EPILOG = "Exit codes: 0 the list is whole, whatever is in it, 1 a record cannot be read, 6 no ledger was kept here."


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.option("--all", "show_all", is_flag=True, help="Healed faults too.")
def command(as_json: bool, show_all: bool) -> None:
    """List the faults that the ledger still holds, oldest first: when each ends by itself, and how it is undone."""
    from muster.faults import Ledger, LedgerError

    ledger = Ledger()
    records = list(ledger.records())
    unreadable = [str(record) for record in records if isinstance(record, LedgerError)]
    entries = [entry for entry in records if not isinstance(entry, LedgerError) and (entry.open or show_all)]
    if as_json:
        faults = [_told(entry) for entry in entries]
        listing = {
            "schema": "muster/faults/v1",
            "ledger": str(ledger.where),
            "faults": faults,
            "unreadable": unreadable,
        }
        print(json.dumps(listing, indent=1))
    else:
        for entry in entries:
            print("\n".join(_lines(entry)))
        if ledger.kept and not entries and not unreadable:
            print(f"no faults are left in the ledger {ledger.where}")
    if not ledger.kept:
        raise Unknown(f"no drill has kept a ledger in {ledger.where}: fine if none ever ran from here, {ELSEWHERE}")
    if unreadable:
        raise MusterError("; ".join(unreadable))


def _told(entry: Entry) -> dict[str, Any]:
    """The record without what undoes it, which may hold secrets; that is told in words, where something is open."""
    from muster.faults.words import heal_command, undone_so

    told = entry.model_dump(by_alias=True, exclude={"undo"})
    if entry.open:
        ends_in_s = round(entry.expires_at - time.time(), 1)
        told |= {"ends_in_s": ends_in_s, "undone_so": undone_so(entry), "undone_by": heal_command(entry)}
    return told


def _lines(entry: Entry) -> list[str]:
    from muster.faults.words import ends, heal_command, undone_so
    from muster.system.units import duration

    age = duration(round(time.time() - entry.opened_at))
    place = f"{entry.system}/{entry.environment} {entry.namespace}"
    state = f"{entry.state}, {ends(entry)}" if entry.open else entry.state
    lines = [f"{entry.id}  {state}  {age} ago  {place} {entry.target}  {entry.note}".rstrip()]
    if entry.open:
        lines.append(f"  undone by `{heal_command(entry)}`: {undone_so(entry)}")
    return lines
