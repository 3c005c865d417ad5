"""``summary.json``: a run's verdict, counts and findings. Stable: people's tools depend on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from muster.verdict import Finding, Verdict, worst

SCHEMA = "muster/summary/v1"
FILE = "summary.json"


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A check that nothing could be asked of here, with the reason. Not a verdict."""

    check: str
    reason: str
    runbook: str = ""
    section: str = ""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One run. ``started`` is seconds since the epoch; ``interrupted`` says why it ended early, if it did.

    ``unwritten`` says why not all of its outputs could be kept, if they could not.
    """

    command: str
    system: str
    environment: str
    started: float
    duration_s: float
    findings: Sequence[Finding]
    skipped: Sequence[Skip] = ()
    interrupted: str = ""
    unwritten: str = ""
    deselected: int = 0

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings; a run that judged nothing, or was cut short or not kept, is at best UNKNOWN."""
        found = [finding.verdict for finding in self.findings]
        return worst([*found, Verdict.UNKNOWN] if self.interrupted or self.unwritten else found)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each: pass, warn, fail, unknown, skip."""
        verdicts = [finding.verdict for finding in self.findings]
        return {**{verdict.name.lower(): verdicts.count(verdict) for verdict in Verdict}, "skip": len(self.skipped)}

    def to_json(self) -> str:
        """The file's text. Findings are in order of check, and depend on what was read only."""
        entries = [_finding(finding) for finding in self.findings] + [_skip(skip) for skip in self.skipped]
        body: dict[str, Any] = {
            "schema": SCHEMA,
            "command": self.command,
            "system": self.system,
            "environment": self.environment,
            "started": datetime.fromtimestamp(self.started, UTC).isoformat(timespec="milliseconds"),
            "duration_s": round(self.duration_s, 3),
            "verdict": self.verdict.value,
            "counts": self.counts,
            "findings": sorted(entries, key=lambda entry: str(entry["check"])),
        }
        if self.interrupted:
            body["interrupted"] = self.interrupted
        if self.unwritten:
            body["unwritten"] = self.unwritten
        return json.dumps(body, indent=1, ensure_ascii=False) + "\n"

    def write(self, folder: Path) -> Path:
        """Write ``summary.json`` into a run folder."""
        file = folder / FILE
        file.write_text(self.to_json(), encoding="utf-8")
        return file


def _finding(finding: Finding) -> dict[str, Any]:
    return {**asdict(finding), "verdict": finding.verdict.value}


def _skip(skip: Skip) -> dict[str, Any]:
    entry = {"check": skip.check, "verdict": "SKIP", "message": skip.reason}
    return {**entry, "runbook": skip.runbook, "section": skip.section}
