"""What the last runs said: the newest smoke and the newest drill of a system below ``reports/``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muster.report.summary import FILE, SCHEMA
from muster.verdict import Verdict

COMMANDS = ("smoke", "drill")
EXPERIMENT = "experiment."


@dataclass(frozen=True, kw_only=True)
class Last:
    """Verdicts by check (``experiment.<name>`` for a drill's), and which run of each command they are from."""

    verdicts: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)


def last(reports: Path, system: str, environment: str = "") -> Last:
    """The newest verdict of every check and experiment; nothing where nothing was run.

    A drill of some experiments does not hide what an earlier one said of the others, so drills are read back until
    each experiment has been met; a check's verdict is that of the newest smoke that judged it.
    """
    verdicts: dict[str, str] = {}
    runs: dict[str, str] = {}
    for folder in sorted(_folders(reports), key=lambda folder: folder.name, reverse=True):
        body = _summary(folder)
        if body.get("system") != system or (environment and body.get("environment") != environment):
            continue
        command = body.get("command")
        if command not in COMMANDS or body.get("interrupted"):
            continue
        runs.setdefault(command, folder.name)
        for check, verdict in _judged(body).items():
            verdicts.setdefault(check, verdict)
    return Last(verdicts=verdicts, runs=runs)


def _judged(body: dict[str, Any]) -> dict[str, str]:
    """The run's verdict of each check; one that was asked of every alert has one as ``name[alert]``, and the worst."""
    found: dict[str, list[str]] = {}
    for finding in body.get("findings", []):
        check, verdict = str(finding.get("check")), str(finding.get("verdict"))
        for name in {check, check.partition("[")[0]}:
            found.setdefault(name, []).append(verdict)
    return {check: max(verdicts, key=_rank) for check, verdicts in found.items()}


def _rank(verdict: str) -> int:
    return Verdict(verdict).rank if verdict in list(Verdict) else -1


def _folders(reports: Path) -> list[Path]:
    if not reports.is_dir():
        return []
    return [folder for folder in reports.iterdir() if folder.is_dir() and not folder.is_symlink()]


def _summary(folder: Path) -> dict[str, Any]:
    """A run's summary; nothing for a folder that is not, or not any more, one of ours."""
    try:
        body = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) and body.get("schema") == SCHEMA else {}
