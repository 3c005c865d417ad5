"""How findings stand in an Allure report: labels and links from the facts, environment and categories."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from muster.report.sections import section_title
from muster.system.model import System

FOLDER = "allure-results"
_SEVERITY = {"critical": "critical", "warning": "normal", "info": "minor"}
PAGES = "runbooks"  # folder of the HTML report that holds the runbooks as pages
COVERAGE_PAGE = "coverage.html"
CATEGORIES = [
    {"name": "Does not hold: a claim of the runbook is false", "matchedStatuses": ["failed"]},
    {"name": "Unknown: no data is never a pass", "matchedStatuses": ["broken"]},
    {"name": "Flaky: its verdict changes from run to run", "flaky": True},
]
# (variable that tells the CI system, its name, variables of the job's name, number and address)
_EXECUTORS = (
    ("GITHUB_ACTIONS", "github", "GITHUB_WORKFLOW", "GITHUB_RUN_NUMBER", ""),
    ("GITLAB_CI", "gitlab", "CI_JOB_NAME", "CI_PIPELINE_IID", "CI_JOB_URL"),
    ("JENKINS_URL", "jenkins", "JOB_NAME", "BUILD_NUMBER", "BUILD_URL"),
    ("BUILDKITE", "buildkite", "BUILDKITE_PIPELINE_SLUG", "BUILDKITE_BUILD_NUMBER", "BUILDKITE_BUILD_URL"),
)


def labels(system: System, anchor: str, section: str, *, alert: str = "") -> list[tuple[str, str]]:
    """(type, value) labels: epic is the system, feature the runbook section, story each alert, and the severity.

    ``anchor`` is ``<runbook>#<section>``, or "" for a check that names none; ``alert`` is the one that the check is
    about, where it is not about the whole section.
    """
    alerts = [name for name, entry in system.alerts.items() if anchor and entry.runbook == anchor]
    if alert in alerts:
        alerts = [alert]
    found = [("epic", system.name), ("feature", section), *(("story", name) for name in alerts)]
    return [*found, ("severity", severity(system, alerts))]


def links(system: System, anchor: str) -> list[tuple[str, str]]:
    """(address, name) links: the runbook's section, and its row in the coverage.

    A runbook that the facts give as a file is a page of the report itself; one that has an address is opened there.
    """
    runbook, _, section = anchor.partition("#")
    if runbook not in system.runbooks:
        return []
    url = system.runbook_url(anchor)
    if "://" not in url:
        url = f"{PAGES}/{runbook}.html#{section}"
    title = section_title(anchor)
    return [(url, f"Runbook: {title}"), (f"{COVERAGE_PAGE}#{section}", f"Coverage: {title}")]


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


def write_executor(folder: Path, build: str, environ: Mapping[str, str] = os.environ) -> None:
    """``executor.json``: who ran it. A CI system tells itself by its variables; without one it is this machine."""
    found: dict[str, str | int] = {"name": "muster", "type": "muster", "buildName": build}
    for tells, kind, name, number, url in _EXECUTORS:
        if environ.get(tells):
            found |= {"type": kind, "name": environ.get(name, kind)}
            found |= {"buildOrder": int(environ[number])} if environ.get(number, "").isdecimal() else {}
            found |= {"buildUrl": environ[url]} if environ.get(url) else {}
            break
    if environ.get("GITHUB_ACTIONS"):
        found["buildUrl"] = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format_map(
            {key: environ.get(key, "") for key in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")}
        )
    (folder / "executor.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
