"""Production and freezes, by every way in: the command, pytest and Chaos Toolkit itself. No cluster is needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_system import write_small_system

from muster.cli.drill import command
from muster.errors import MusterError
from muster.faults.guard import PRODUCTION

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = """
live: {description: Where people are, production: true}
frozen:
  description: At the year's end
  freeze: [{from: "2020-01-01T00:00:00Z", until: "2120-01-01T00:00:00Z", why: the year's end}]
"""
EXPERIMENT = """
title: A test
description: that must not run
configuration: {system: small, environment: ENV}
runtime: {rollbacks: {strategy: always}}
controls:
  - {name: recorder, provider: {type: python, module: muster.chaos.recorder, arguments: {name: harm}}}
extensions: [{name: muster, must_not: [page]}]
method:
  - {type: action, name: harm, provider: {type: process, path: touch, arguments: harmed}}
rollbacks: []
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A user's folder with such a system, whose experiment would leave a file ``harmed``."""
    write_small_system(tmp_path, ENVIRONMENTS)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "conftest.py").write_text((ROOT / "experiments" / "conftest.py").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path / "state"))
    monkeypatch.delenv(PRODUCTION, raising=False)
    for name in ("MUSTER_SYSTEM", "MUSTER_ENV", "MUSTER_RUN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def write(folder):
    """``write(environment)`` -> the experiment's file."""

    def make(environment):
        file = folder / "experiments" / "harm.yaml"
        file.write_text(EXPERIMENT.replace("ENV", environment))
        return file

    return make


def drill(*words):
    with pytest.raises(MusterError) as refused:
        command.main(["--system", "small", *map(str, words)], standalone_mode=False)
    return refused.value


def test_a_drill_in_production_wants_the_name_typed_back(write, folder):
    """Without it, or with another one, nothing begins: exit code 4. No output folder is made either."""
    file = write("live")
    refused = drill("--env", "live", file)
    assert refused.exit_code == 4
    assert "environment live is production" in str(refused)
    assert "--production live" in str(refused)
    other = drill("--env", "live", "--production", "life", file)
    assert (other.exit_code, str(other)) == (4, "--production life: the drill is to be in environment live")
    assert not (folder / "harmed").exists()
    assert not (folder / "reports").exists()


def test_a_drill_in_a_freeze_says_until_when_and_why(write, folder):
    """Before anything is looked at."""
    refused = drill("--env", "frozen", write("frozen"))
    assert str(refused) == "environment frozen: changes are frozen until 2120-01-01T00:00:00Z: the year's end"
    assert refused.exit_code == 1
    assert not (folder / "harmed").exists()


@pytest.mark.parametrize(
    ("environment", "words"), [("live", "is production"), ("frozen", "frozen until 2120-01-01T00:00:00Z")]
)
@pytest.mark.parametrize("way", ["pytest", "chaos"])
def test_neither_pytest_nor_chaos_run_leads_around_it(write, folder, environment, words, way):
    """The experiment's own recorder asks, even for an action that is no fault of Muster's."""
    file = write(environment)
    argv = {
        "pytest": [
            sys.executable,
            "-m",
            "pytest",
            "--rootdir",
            folder,
            "--system",
            "small",
            "--env",
            environment,
            file,
        ],
        "chaos": [Path(sys.executable).with_name("chaos"), "run", file],
    }[way]
    done = subprocess.run(
        list(map(str, argv)),
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert not (folder / "harmed").exists()
