"""The experiment files themselves, and how they are collected."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from muster.chaos import run
from muster.drill.selection import select
from muster.errors import UsageError
from muster.judge.objectives import parse_objectives
from muster.system import load_system

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_experiment_is_valid_and_promises_what_the_system_has(file):
    """Chaos Toolkit accepts it, its alert and contact exist, and who is to be paged is just whom that alert tells."""
    experiment = run.load(file)
    system = load_system("x0tta6bl4")
    (extension,) = [entry for entry in experiment["extensions"] if entry["name"] == "muster"]
    objectives = parse_objectives(extension, where=file.name, system=system)
    if "page" in objectives.breaks:  # nobody is told: who that is counts for nothing
        assert {*objectives.pages} <= {*system.alerts[objectives.alert].tell}
    elif objectives.pages:
        assert sorted(objectives.pages) == sorted(system.alerts[objectives.alert].tell)
    if objectives.action == "rollback":
        assert system.alerts[objectives.alert].action == "rollback"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_check_that_an_experiment_counts_on_exists(file):
    """A name that no check has would be waited for in vain, or pass for one that knows nothing."""
    (extension,) = [entry for entry in run.load(file)["extensions"] if entry["name"] == "muster"]
    named = {*extension.get("finds", {}), *extension.get("unknown", [])}
    assert named <= CHECKS


CHECKS = {
    f"{file.stem.removeprefix('test_')}.{name}"
    for file in (FILES[0].parents[1] / "checks").glob("test_*.py")
    for name in re.findall(r"^def test_(\w+)", file.read_text(), re.MULTILINE)
}


def test_the_quarterly_set_covers_what_must_be_proven_every_quarter():
    """Each automatic trigger and what must not happen; the quick set has a rollback and a must-not as well."""
    promised = {}
    for tag in ("quarterly", "quick"):
        files = select(FILES[0].parent, [tag])
        bodies = [yaml.safe_load(file.read_text()) for file in files]
        promised[tag] = [next(e for e in body["extensions"] if e["name"] == "muster") for body in bodies]
    triggers = {name for name, alert in load_system("x0tta6bl4").alerts.items() if alert.action == "rollback"}
    rolled_back = {one["alert"] for one in promised["quarterly"] if one.get("action") == "rollback"}
    assert rolled_back == triggers
    for one in promised.values():
        assert any(one.get("must_not") for one in one)
        assert any(one.get("action") == "rollback" for one in one)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["bad-release"], ["bad-release"]),
        (["pqc-*"], ["pqc-fallback", "pqc-fallback-denied"]),
        (["pod-kill", "bad-release", "pod-kill"], ["pod-kill", "bad-release"]),
        (["certificate"], ["expired-certificate"]),
        (["all"], [file.stem for file in FILES]),
        ([], [file.stem for file in FILES]),
        ([str(FILES[0])], [FILES[0].stem]),
    ],
)
def test_experiments_are_selected_by_name_glob_tag_or_file(words, names):
    """In the words' order, each once; a tag's and a glob's in the order of names."""
    found = [file.stem for file in select(FILES[0].parent, words)]
    assert sorted(found) == sorted(names) if len(words) != 3 else found == names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.pop("runtime"), "would not heal"),
        (lambda e: e.update(runtime={"rollbacks": {"strategy": "default"}}), "would not heal"),
        (lambda e: e.pop("controls"), "expected one muster.chaos.recorder"),
        (lambda e: e["controls"][0]["provider"]["arguments"].update(name="other"), "name: test"),
        (lambda e: e.pop("method"), "requires a method"),
        (lambda e: e.update(runtime=None), "expected always"),
        (lambda e: e.update(runtime={"rollbacks": "always"}), "expected always"),
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


def test_a_file_that_is_named_is_collected_wherever_it_lies(tmp_path):
    """`muster drill FILE` is promised; what merely lies beside it is no experiment."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "conftest.py").write_text((FILES[0].parent / "conftest.py").read_text())
    for name in ("named", "beside"):
        (folder / f"{name}.yaml").write_text(FILES[0].read_text())
    done = pytest_in(tmp_path, "mine/named.yaml", "--collect-only")
    assert [line for line in done.stdout.splitlines() if "::" in line] == ["mine/named.yaml::named"], done.stdout
    assert "::" not in pytest_in(tmp_path, "mine", "--collect-only").stdout


def test_experiments_never_run_beside_each_other(tmp_path):
    """Under -n one is UNKNOWN, and nothing is broken."""
    done = pytest_in(FILES[0].parents[1], str(FILES[0]), "-n", "1", "--run-dir", str(tmp_path / "run"))
    assert done.returncode != 0
    assert "never under -n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["no-such"],
            f"there is no experiment 'no-such': experiments/ has {', '.join(f.stem for f in FILES)}; tags are ",
        ),
        (["bad-release", "no-*"], "there is no experiment 'no-*'"),
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
