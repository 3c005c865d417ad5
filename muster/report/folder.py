"""Run folders: where each command leaves its outputs."""

from __future__ import annotations

import time
from pathlib import Path

from muster.errors import MusterError

RUN_VARIABLE = "MUSTER_RUN"  # the folder in force, for child processes of a run
LATEST = "latest"


def run_folder(command: str, system: str, environment: str, *, root: Path | None = None) -> Path:
    """Make ``reports/<UTC time>-<command>-<system>-<environment>/`` and point ``reports/latest`` at it.

    ``root`` is the reports folder (default: ``reports`` in the working folder). Two runs in one second get two folders.
    """
    reports = root or Path.cwd() / "reports"
    name = f"{time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime())}-{command}-{system}-{environment}"
    try:
        reports.mkdir(parents=True, exist_ok=True)
        folder = _fresh(reports, name)
        _point(reports / LATEST, folder.name)
    except OSError as error:
        raise MusterError(f"no run folder can be made in {reports}: {error.strerror}") from None
    return folder


def _fresh(reports: Path, name: str) -> Path:
    for attempt in range(1, 1000):
        folder = reports / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise MusterError(f"{reports} holds a thousand runs of this very second")


def _point(link: Path, target: str) -> None:
    """Replace the link at once, so that nobody ever finds none. A real folder of that name is left alone."""
    if link.exists() and not link.is_symlink():
        return
    fresh = link.with_name(f".{LATEST}-{target}")  # a name of this run's own: others may do the same right now
    fresh.symlink_to(target)
    fresh.replace(link)
