"""The coverage as a page of the HTML report: a section of the runbook after the other, what nothing proves first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from itertools import groupby

from muster.coverage.table import Coverage, Row
from muster.report import allure
from muster.report.page import page


def render(coverage: Coverage) -> str:
    """One HTML page, with an anchor for each section."""
    counts = coverage.counts
    alerts, steps = (_share(counts, kind) for kind in ("alerts", "steps"))
    runs = ", ".join(f"{command}: {name}" for command, name in sorted(coverage.runs.items())) or "no run yet"
    body = [
        f"<h1>What proves the runbooks of {escape(coverage.system)}</h1>",
        f"<p>{alerts}; {steps}. Last verdicts from {escape(runs)}. <a href='index.html'>Back to the report</a></p>",
        *_open(coverage),
    ]
    ordered = sorted(coverage.rows, key=lambda row: _order(coverage, row.anchor))
    for anchor, rows in groupby(ordered, key=lambda row: row.anchor):
        body += _section(anchor, list(rows))
    return page(f"Coverage of {coverage.system}", "\n".join(body))


def _share(counts: dict[str, int], kind: str) -> str:
    covered, total, reasons = counts[f"{kind}_covered"], counts[kind], counts[f"{kind}_with_reason"]
    return f"<b>{covered} of {total} {kind}</b> are proven, {reasons} more have a written reason why not"


def _open(coverage: Coverage) -> Iterable[str]:
    if coverage.unexcused:
        yield "<h2>Nothing proves these, and nobody has said why</h2><ul class='bad'>"
        for row in coverage.unexcused:
            lacks = escape(", ".join(row.unexcused))
            yield f"<li><a href='#{_id(row.anchor)}'>{escape(row.label)}</a>: no {lacks}</li>"
        yield "</ul>"
    if coverage.stale:
        yield "<h2>Notes that are not true any more</h2><ul>"
        yield from (f"<li>{escape(entry)}</li>" for entry in coverage.stale)
        yield "</ul>"


def _section(anchor: str, rows: list[Row]) -> Iterable[str]:
    runbook, _, section = anchor.partition("#")
    link = f"{allure.PAGES}/{runbook}.html#{section}"
    yield f"<h2 id='{_id(anchor)}'>{escape(rows[0].section)} <a class='aside' href='{link}'>read it</a></h2>"
    columns = "".join(f"<col class='{name}'>" for name in ("what", "by", "by", "verdict"))
    yield f"<table class='coverage'><colgroup>{columns}</colgroup>"
    yield "<thead><tr><th>Alert or step</th><th>Checks</th><th>Experiments</th><th>Last</th></tr></thead><tbody>"
    for row in rows:
        yield _row(row)
    yield "</tbody></table>"


def _row(row: Row) -> str:
    if row.kind == "alert":
        what = f"<code class='alert'>{escape(row.title)}</code>{'' if row.rule else ' (no rule)'}"
    else:
        what = (f"<span class='number'>{row.step}.</span> " if row.step else "") + _inline(row.title)
    for missing in row.missing:
        reason = row.reasons.get(missing)
        what += (
            f"<div class='reason'>No {missing}: {escape(reason)}</div>"
            if reason
            else f"<div class='reason bad'>No {missing}, and nobody has said why.</div>"
        )
    verdict = f"<span class='verdict {row.verdict.lower()}'>{row.verdict}</span>" if row.verdict else "<span>-</span>"
    cells = (what, _names(row.checks), _names(row.experiments), verdict)
    return f"<tr class='{row.kind}'>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _names(names: Iterable[str]) -> str:
    return "<br>".join(escape(name.replace("_", " ")) for name in names) or "<span class='none'>-</span>"


def _inline(text: str) -> str:
    """The one line of a step: code, and links by their words."""
    words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words, quote=False))


def _order(coverage: Coverage, anchor: str) -> int:
    """Sections stand as in the runbook, which is the order of the steps."""
    anchors = list(dict.fromkeys(row.anchor for row in coverage.rows if row.kind == "step"))
    return anchors.index(anchor) if anchor in anchors else len(anchors)


def _id(anchor: str) -> str:
    return escape(anchor.partition("#")[2])
