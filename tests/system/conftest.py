"""A folder with one small system in it, to be broken in one place at a time."""

from pathlib import Path

import pytest

SMALL = """\
schema: muster/system/v1
name: small
title: A small system
runbooks:
  guide: {title: Guide, url: docs/guide.md}
contacts:
  on-call: {title: On call}
slo:
  errors:
    title: Errors
    unit: ratio
    query: sum(rate(e[{window}]))
    runbook: guide#errors
    critical: {above: 5%, source: guide}
alerts:
  TooManyErrors:
    title: Too many errors
    slo: errors
    level: critical
    severity: critical
    tell: [on-call]
    runbook: guide#errors
    source: guide
no_data:
  alert: NoErrors
  title: Nothing is known
  tell: [on-call]
  runbook: guide#silence
  source: guide
environments:
  lab:
    description: Local
    embedded: true
    endpoints_file: ${SMALL_ENDPOINTS:-${SMALL_STATE:-.lab}/endpoints.json}
    time_scale: ${time_scale}
    prometheus: ${prometheus}
  own:
    description: Somewhere else
    prometheus: ${SMALL_PROMETHEUS:-http://127.0.0.1:9090}
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Writes systems/small.yaml with replacements, each of which must apply; returns the root."""
    monkeypatch.chdir(tmp_path)
    for name in ("SMALL_ENDPOINTS", "SMALL_STATE", "SMALL_PROMETHEUS"):
        monkeypatch.delenv(name, raising=False)

    def write(*replacements: tuple[str, str]) -> Path:
        text = SMALL
        for old, new in replacements:
            assert text.count(old) >= 1, f"{old!r} is not in the small system"
            text = text.replace(old, new, 1)
        (tmp_path / "systems").mkdir(exist_ok=True)
        (tmp_path / "systems" / "small.yaml").write_text(text)
        return tmp_path

    return write
