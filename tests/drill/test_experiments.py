"""The experiment files themselves, and how they are collected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from muster.chaos import run
from muster.errors import UsageError
from muster.judge.objectives import parse_objectives
from muster.system import load_system

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_experiment_is_valid_and_promises_what_the_system_has(file):
    """Chaos Toolkit accepts it, its alert and contact exist, and whoever is to be paged is told by that alert."""
    experiment = run.load(file)
    system = load_system("x0tta6bl4")
    (extension,) = [entry for entry in experiment["extensions"] if entry["name"] == "muster"]
    objectives = parse_objectives(extension, where=file.name, system=system)
    if objectives.page:
        assert objectives.page in system.alerts[objectives.alert].tell
    if objectives.action == "rollback":
        assert system.alerts[objectives.alert].action == "rollback"


def test_there_are_experiments():
    """The parametrized test above is not empty."""
    assert {"bad-release", "pod-kill"} <= {file.stem for file in FILES}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.pop("runtime"), "would not heal"),
        (lambda e: e.update(runtime={"rollbacks": {"strategy": "default"}}), "would not heal"),
        (lambda e: e.pop("controls"), "expected one muster.chaos.recorder"),
        (lambda e: e["controls"][0]["provider"]["arguments"].update(name="other"), "name: test"),
        (lambda e: e.pop("method"), "requires a method"),
        (lambda e: e["method"][0]["provider"].update(func="nothing"), "nothing"),
    ],
)
def test_an_experiment_that_could_not_be_trusted_is_refused(tmp_path, change, words):
    """Rollbacks that are not always played, no recorder, another's name, a missing function: one sentence each."""
    experiment = yaml.safe_load(FILES[0].read_text())
    experiment["controls"][0]["provider"]["arguments"]["name"] = "test"
    change(experiment)
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(experiment))
    with pytest.raises(UsageError, match="test.yaml") as caught:  # noqa: RUF043
        run.load(file)
    assert words in str(caught.value)


def pytest_in(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_pytest_collects_each_file_once_and_leaves_nothing_behind():
    """Collecting makes no run folder."""
    root = FILES[0].parents[1]
    before = set((root / "reports").glob("*"))
    done = pytest_in(root, "experiments", "--collect-only")
    assert [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line] == [f.stem for f in FILES]
    assert set((root / "reports").glob("*drill*")) <= before


def test_experiments_never_run_beside_each_other(tmp_path):
    """Under -n each is UNKNOWN, and nothing is broken."""
    done = pytest_in(FILES[0].parents[1], "experiments", "-n", "1", "--run-dir", str(tmp_path / "run"))
    assert done.returncode != 0
    assert "never under -n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such"], "there is no experiment 'no-such': experiments/ has bad-release, pod-kill"),
        (["--system", "no-such"], "no-such"),
        (["--env", "no-such"], "no-such"),
    ],
)
def test_what_does_not_exist_is_said_in_one_sentence(arguments, words, tmp_path):
    """Exit code 4, before anything is booted."""
    command = [sys.executable, "-m", "muster", "drill", *arguments]
    done = subprocess.run(command, cwd=FILES[0].parents[1], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 4
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
