"""How findings stand in an Allure report: labels and links from the facts, environment and categories."""

from __future__ import annotations

import json
from pathlib import Path

from muster.system.model import System

FOLDER = "allure-results"
_SEVERITY = {"critical": "critical", "warning": "normal", "info": "minor"}
CATEGORIES = [
    {"name": "Does not hold: a claim of the runbook is false", "matchedStatuses": ["failed"]},
    {"name": "Unknown: no data is never a pass", "matchedStatuses": ["broken"]},
]


def labels(system: System, anchor: str, section: str) -> list[tuple[str, str]]:
    """(type, value) labels: epic is the system, feature the runbook section, story each alert, and the severity.

    ``anchor`` is ``<runbook>#<section>``, or "" for a check that names none.
    """
    alerts = [name for name, alert in system.alerts.items() if anchor and alert.runbook == anchor]
    found = [("epic", system.name), ("feature", section), *(("story", name) for name in alerts)]
    return [*found, ("severity", severity(system, alerts))]


def severity(system: System, alerts: list[str]) -> str:
    """Allure's word: a rollback trigger blocks, otherwise the worst severity of the alerts; normal without any."""
    if any(system.alerts[name].action == "rollback" for name in alerts):
        return "blocker"
    for given, word in _SEVERITY.items():
        if any(system.alerts[name].severity == given for name in alerts):
            return word
    return "normal"


def write_environment(folder: Path, values: dict[str, str]) -> None:
    """``environment.properties`` and ``categories.json`` beside the results."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{key}={value}\n" for key, value in values.items() if value)
    (folder / "environment.properties").write_text(lines, encoding="utf-8")
    (folder / "categories.json").write_text(json.dumps(CATEGORIES, indent=1) + "\n", encoding="utf-8")
