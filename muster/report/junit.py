"""``junit.xml`` for CI systems: FAIL is a failure, UNKNOWN an error, a skip is skipped, WARN passes and says so."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from muster.report.summary import Summary
from muster.verdict import Finding, Verdict

FILE = "junit.xml"


def write(folder: Path, summary: Summary, seconds: Mapping[str, float]) -> Path:
    """Write ``junit.xml`` into a run folder; ``seconds`` is how long each check took, by name."""
    counts = summary.counts
    suite = ET.Element(
        "testsuite",
        name=f"muster {summary.command} {summary.system}/{summary.environment}",
        tests=str(sum(counts.values())),
        failures=str(counts["fail"]),
        errors=str(counts["unknown"]),
        skipped=str(counts["skip"]),
        time=f"{summary.duration_s:.3f}",
    )
    for finding in summary.findings:
        _add(_case(suite, summary, finding.check, seconds), finding)
    for skip in summary.skipped:
        ET.SubElement(_case(suite, summary, skip.check, seconds), "skipped", message=_printable(skip.reason))
    if summary.interrupted:
        case = _case(suite, summary, "run", seconds)
        ET.SubElement(case, "error", message=_printable(f"the run did not finish: {summary.interrupted}"))
    root = ET.Element("testsuites")
    root.append(suite)
    file = folder / FILE
    ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    return file


def _case(suite: ET.Element, summary: Summary, check: str, seconds: Mapping[str, float]) -> ET.Element:
    return ET.SubElement(
        suite,
        "testcase",
        classname=f"{summary.system}.{summary.environment}",
        name=check,
        time=f"{seconds.get(check, 0.0):.3f}",
    )


def _add(case: ET.Element, finding: Finding) -> None:
    message = _printable(finding.message)
    match finding.verdict:
        case Verdict.FAIL:
            ET.SubElement(case, "failure", message=message, type="FAIL").text = _printable(finding.next_step)
        case Verdict.UNKNOWN:
            ET.SubElement(case, "error", message=message, type="UNKNOWN").text = _printable(finding.next_step)
        case Verdict.WARN:
            ET.SubElement(case, "system-out").text = f"WARN {message}"


def _printable(text: str) -> str:
    """XML has no way to write most control characters; a server's message may hold any."""
    return "".join(char if char in "\t\n" or char >= " " else "\N{REPLACEMENT CHARACTER}" for char in text)
