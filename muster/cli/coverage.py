"""``muster coverage``: every alert and step of the runbooks against what proves it, and what nothing proves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from muster.errors import EXIT_FAILED

if TYPE_CHECKING:
    from muster.coverage import Coverage, Row

CHECKOUT = Path(__file__).resolve().parents[2]


@click.command()
@click.argument("system", default="x0tta6bl4")
@click.option("--env", "environment", metavar="NAME", default="", help="Last verdicts of this environment only.")
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(*, system: str, environment: str, reports: Path, as_json: bool) -> int:
    """Hold every alert and step of SYSTEM's runbooks against its checks, experiments and last verdicts.

    Exit code 1 when something is neither covered nor excused by a written reason.
    """
    from muster.coverage import cover
    from muster.system import load_system

    found = cover(load_system(system), base(), reports, environment)
    click.echo(json.dumps(found.as_dict(), indent=1, ensure_ascii=False) if as_json else "\n".join(_lines(found)))
    return EXIT_FAILED if found.unexcused else 0


def base() -> Path:
    """The folder whose checks and experiments count: the working folder, else Muster's own checkout."""
    return next((folder for folder in (Path.cwd(), CHECKOUT) if (folder / "checks").is_dir()), CHECKOUT)


def _lines(found: Coverage) -> list[str]:
    counts = found.counts
    lines = [f"{found.system}: what proves its runbooks"]
    for kind in ("alerts", "steps"):
        covered, reasons = counts[f"{kind}_covered"], counts[f"{kind}_with_reason"]
        lines.append(f"  {covered} of {counts[kind]} {kind} are proven, {reasons} more have a written reason why not")
    section = ""
    for row in sorted(found.rows, key=lambda row: (row.section, row.kind != "alert", row.step)):
        if row.section != section:
            section = row.section
            lines.append(f"\n{section}")
        lines.append(_line(row))
    if found.stale:
        lines += [
            "\nnotes that are not true any more (remove or rename them)",
            *(f"  {entry}" for entry in found.stale),
        ]
    if found.unexcused:
        lines.append("\nneither covered nor excused:")
        lines += [f"  {row.label}: no {', '.join(row.unexcused)}" for row in found.unexcused]
    return lines


def _line(row: Row) -> str:
    name = row.title if row.kind == "alert" else f"step {row.step}" if row.step else "the section"
    by = [f"{len(row.checks)} check{'' if len(row.checks) == 1 else 's'}"] if row.checks else []
    by += [f"drill {name}" for name in row.experiments]
    lacks = [f"no {what}: {row.reasons.get(what, 'NO REASON')}" for what in row.missing]
    return f"  {row.verdict or '-':<8}{name:<34}{'; '.join([*by, *lacks])}"
