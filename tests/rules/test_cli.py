"""``muster rules`` prints, writes and compares."""

import shutil
import subprocess
import sys

import pytest
import yaml
from small_system import write_small_system

from muster.system import system_names


def muster(*words, cwd):
    argv = [sys.executable, "-m", "muster", "rules", *words]
    return subprocess.run(argv, check=False, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_prints_rules_by_default(root):
    """The text on the terminal is a rule file."""
    done = muster("x0tta6bl4", "--env", "staging", cwd=root)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["groups"][0]["name"] == "x0tta6bl4-staging"


def test_several_formats_are_several_documents(root):
    """Each format is one document of the stream."""
    done = muster("x0tta6bl4", "--env", "staging", "--format", "prometheus", "--format", "alertmanager", cwd=root)
    rules, routes = yaml.safe_load_all(done.stdout)
    assert rules["groups"]
    assert routes["receivers"]


def test_check_compares_with_files(root, tmp_path):
    """Written files pass; a touched one ends in exit 1, its name and what is different in it."""
    out = ("--out", str(tmp_path))
    assert muster("x0tta6bl4", "--env", "staging", *out, cwd=root).returncode == 0
    assert muster("x0tta6bl4", "--env", "staging", *out, "--check", cwd=root).returncode == 0
    file = tmp_path / "alertmanager.yml"
    file.write_text(file.read_text().replace("repeat_interval: 4h", "repeat_interval: 5h", 1))
    (tmp_path / "cases" / "x0tta6bl4.yml").unlink()
    done = muster("x0tta6bl4", "--env", "staging", *out, "--check", cwd=root)
    assert done.returncode == 1
    assert "alertmanager.yml, " in done.stderr
    assert "cases/x0tta6bl4.yml (missing)" in done.stderr
    assert "prometheusrule" not in done.stderr
    changed = [line for line in done.stdout.splitlines() if line[:2] in {"- ", "+ "}]
    assert changed == ["-  repeat_interval: 5h", "+  repeat_interval: 4h"]


def test_mistakes_are_usage_errors_in_one_sentence(root, tmp_path):
    """Exit 4, one line, no traceback."""
    for words, part in (
        (("x0tta6bl5", "--env", "staging"), "did you mean 'x0tta6bl4'?"),
        (("x0tta6bl4", "--env", "production"), "known: lab, staging"),
        (("x0tta6bl4", "--env", "staging", "--check"), "--out"),
        (("x0tta6bl4", "--env", "staging", "--format", "cobol"), "cobol"),
    ):
        done = muster(*words, cwd=root)
        assert done.returncode == 4
        assert part in done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_said_so(root, tmp_path):
    """A folder where a file should be: exit 1 with its name, it is still there, and no half-written file beside it."""
    (tmp_path / "rules" / "x0tta6bl4.yml").mkdir(parents=True)
    done = muster("x0tta6bl4", "--env", "staging", "--out", str(tmp_path), cwd=root)
    assert done.returncode == 1
    assert f"{tmp_path} cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.rglob("*")) == [tmp_path / "rules", tmp_path / "rules" / "x0tta6bl4.yml"]


ENVIRONMENTS = """
staging: {description: theirs, contacts: {on-call: {kind: webhook, url: "http://pager.test"}}}
"""


@pytest.fixture
def with_small(tmp_path):
    """A folder with a system of its own; Muster's example is found beside it by its name alone."""
    write_small_system(tmp_path, ENVIRONMENTS)
    return tmp_path


def test_without_a_name_it_is_all_systems_of_the_folder(with_small, root):
    """Their routes in one file, without the example; and no single one of them is written over that afterwards."""
    assert system_names() == system_names(root) == ["x0tta6bl4"]
    assert system_names(with_small) == ["small"]
    shutil.copy(root / "systems" / "x0tta6bl4.yaml", with_small / "systems")
    out = ("--env", "staging", "--out", "made")
    assert muster(*out, cwd=with_small).returncode == 0
    assert muster(*out, "--check", cwd=with_small).returncode == 0
    made = with_small / "made"
    assert {file.name for file in (made / "rules").iterdir()} == {"small.yml", "x0tta6bl4.yml"}
    receivers = {one["name"] for one in yaml.safe_load((made / "alertmanager.yml").read_text())["receivers"]}
    assert {"small/staging/on-call", "x0tta6bl4/staging/on-call", "x0tta6bl4/staging/responder"} <= receivers
    before = (made / "alertmanager.yml").read_bytes()
    done = muster("small", *out, cwd=with_small)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "has the routes of systems/x0tta6bl4.yaml, too" in done.stderr
    assert (made / "alertmanager.yml").read_bytes() == before


def test_a_page_that_opens_nowhere_is_said_and_rendered_all_the_same(root, tmp_path):
    """A warning beside the output: a page with a dead link is better than none."""
    write_small_system(tmp_path, ENVIRONMENTS)
    facts = tmp_path / "systems" / "small.yaml"
    facts.write_text(facts.read_text().replace("https://runbooks.test/book", "docs/book.md"))
    done = muster("small", "--env", "staging", cwd=tmp_path)
    assert done.returncode == 0
    assert yaml.safe_load(done.stdout)["groups"]
    assert "warning: pages of small/staging link to docs/book.md, which no browser opens" in done.stderr
    assert muster("x0tta6bl4", "--env", "staging", cwd=root).stderr == ""
