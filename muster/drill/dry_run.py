"""``muster drill --dry-run``: what each experiment would do, told and not done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from muster.chaos import plan, run
from muster.errors import EXIT_FAILED

_INDENT = 16


def show(files: Sequence[Path], system: str, environment: str, console: Console) -> int:
    """Tell the plans of these experiments in this place; nothing is written but these words.

    Returns the exit code: 0, or 1 when one of them would be refused. Raises :class:`~muster.errors.MusterError` where
    the place cannot be read.
    """
    os.environ.update({"MUSTER_SYSTEM": system, "MUSTER_ENV": environment})  # as a drill gives them to its experiments
    plans = [plan.draw(file.stem, run.load(file)) for file in files]
    for drawn in plans:
        _tell(drawn, console)
    count = sum(bool(drawn.refused) for drawn in plans)
    verdict = f"{count} of {len(plans)} would be refused now" if count else f"{len(plans)} could begin now"
    console.print(Text(f"\n{verdict}; nothing was done", style="bold"))
    return EXIT_FAILED if count else 0


def _tell(drawn: plan.Plan, console: Console) -> None:
    console.print(Text.assemble("\n", (drawn.name, "bold"), f"  {drawn.title}"), soft_wrap=True)
    for heading, lines in drawn.parts:
        for number, line in enumerate(lines):
            label = (heading if number == 0 else "").ljust(_INDENT - 2)
            console.print(Text.assemble("  ", (label, "dim"), line), soft_wrap=True)
    for reason in drawn.refused:
        console.print(Text.assemble("  ", ("REFUSED".ljust(_INDENT - 2), "bold red"), reason), soft_wrap=True)
