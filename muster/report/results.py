"""Allure results of findings that no pytest run made, with files that show them."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from muster.report import allure
from muster.report.summary import Skip
from muster.system import System
from muster.verdict import Finding, Verdict

_STATUS = {Verdict.PASS: "passed", Verdict.WARN: "passed", Verdict.FAIL: "failed", Verdict.UNKNOWN: "broken"}
_TYPES = {".png": "image/png", ".json": "application/json", ".log": "text/plain"}


def write(
    folder: Path,
    system: System,
    findings: Sequence[Finding],
    skipped: Sequence[Skip],
    *,
    attachments: Mapping[str, Path],
    started: float,
    stopped: float,
) -> None:
    """One result for each finding, all with the same ``attachments`` (name -> file), copied beside them once.

    ``started`` and ``stopped`` are seconds since the epoch; the result of one check has the same history everywhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, file in attachments.items():
        source = f"{uuid.uuid4()}-attachment{file.suffix}"
        shutil.copyfile(file, folder / source)
        shown.append({"name": name, "source": source, "type": _TYPES.get(file.suffix, "application/octet-stream")})
    for finding in findings:
        labels = allure.labels(system, finding.runbook, finding.section)
        if finding.verdict is Verdict.WARN:
            labels.append(("tag", "WARN"))
        body = {
            "status": _STATUS[finding.verdict],
            "statusDetails": {"message": finding.message},
            "description": finding.message,
            "labels": [{"name": kind, "value": value} for kind, value in labels],
            "links": [
                {"url": url, "name": name, "type": "link"} for url, name in allure.links(system, finding.runbook)
            ],
            "attachments": shown,
        }
        _result(folder, finding.check, body, started, stopped)
    for skip in skipped:
        labels = allure.labels(system, skip.runbook, skip.section)
        body = {
            "status": "skipped",
            "statusDetails": {"message": skip.reason},
            "labels": [{"name": kind, "value": value} for kind, value in labels],
        }
        _result(folder, skip.check, body, started, stopped)


def _result(folder: Path, check: str, body: Mapping[str, object], started: float, stopped: float) -> None:
    identity = hashlib.md5(check.encode(), usedforsecurity=False).hexdigest()
    text = {
        "uuid": str(uuid.uuid4()),
        "historyId": identity,
        "testCaseId": identity,
        "fullName": check,
        "name": check.replace(".", " ").replace("-", " "),
        "stage": "finished",
        "start": int(started * 1000),
        "stop": int(stopped * 1000),
        **body,
    }
    (folder / f"{text['uuid']}-result.json").write_text(json.dumps(text, indent=1), encoding="utf-8")
