"""The least facts that are a system: one contact, no SLO, no alert, and environments of the test's own."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

_FACTS = """
schema: muster/system/v1
name: small
title: A small system
runbooks: {book: {title: Book, url: "https://runbooks.test/book"}}
contacts: {on-call: {title: On-call}}
slo: {}
alerts: {}
no_data: {alert: SmallDataAbsent, title: No data, tell: [on-call], runbook: "book#none", source: test}
environments:
"""


def write_small_system(folder: Path, environments: str) -> None:
    """Write ``systems/small.yaml`` below ``folder``; ``environments`` is YAML, from name to facts."""
    (folder / "systems").mkdir()
    (folder / "systems" / "small.yaml").write_text(_FACTS + indent(environments, "  "))
