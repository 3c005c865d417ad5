"""Rule files are taken from a folder and reloaded: by the real Prometheus, in a running lab."""

import time
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.lab
RULES = """
groups:
  - name: added
    rules:
      - {record: added:one, expr: "1"}
"""


def groups(prometheus):
    answer = httpx.get(f"{prometheus}/api/v1/rules", timeout=30, trust_env=False)
    return {group["name"] for group in answer.json()["data"]["groups"]}


def seen(prometheus, condition):
    deadline = time.monotonic() + 15
    while not condition(found := groups(prometheus)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_rules_that_are_added_are_in_force_and_broken_ones_change_nothing(lab):
    """Added, then broken (the old ones stay), then taken away."""
    folder, prometheus = Path(lab["state"]) / "config" / "rules", lab["prometheus"]
    file, log = folder / "added.yml", Path(lab["state"]) / "logs" / "daemon.log"
    before = groups(prometheus)
    try:
        file.write_text(RULES)
        assert seen(prometheus, lambda found: "added" in found) == before | {"added"}
        file.write_text("groups: nonsense")
        deadline = time.monotonic() + 15
        while "prometheus refuses its new configuration" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "prometheus refuses its new configuration" in log.read_text()
        assert groups(prometheus) == before | {"added"}
    finally:
        file.unlink(missing_ok=True)
    assert seen(prometheus, lambda found: "added" not in found) == before
