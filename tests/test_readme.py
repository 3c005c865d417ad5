"""README's commands, run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


def test_readme_shows_the_commands_that_these_tests_run():
    """A command that is added to README is run by a test: drill by tests/drill, smoke and report below, test by CI."""
    assert COMMANDS == ["make drill-quick", "make smoke", "make report", "make test"]


def test_what_readme_names_in_its_text_is_there():
    """Every relative link leads to a file, and every make target in the text is a target."""
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", README)) - targets == set()


@pytest.mark.drill
@pytest.mark.parametrize("command", COMMANDS[1:-1])
def test_a_command_of_readme_works_as_written(command, tmp_path_factory):
    """On a lab of its own, from this checkout: it exits 0 and stops what it started."""
    state = tmp_path_factory.getbasetemp() / "readme"
    environ = os.environ | {"LAB_STATE": str(state / "lab"), "MUSTER_STATE": str(state / "muster")}
    environ.pop("MUSTER_RUN", None)
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (state / "lab" / "endpoints.json").exists()
