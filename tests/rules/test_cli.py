"""``muster rules`` prints, writes and compares."""

import subprocess
import sys

import yaml


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
    """Written files pass; a touched one ends in exit 1 and its name."""
    out = ("--out", str(tmp_path))
    assert muster("x0tta6bl4", "--env", "staging", *out, cwd=root).returncode == 0
    assert muster("x0tta6bl4", "--env", "staging", *out, "--check", cwd=root).returncode == 0
    (tmp_path / "alertmanager.yml").write_text("route: {}\n")
    done = muster("x0tta6bl4", "--env", "staging", *out, "--check", cwd=root)
    assert done.returncode == 1
    assert "alertmanager.yml" in done.stderr
    assert "prometheusrule" not in done.stderr


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
    """A file where the folder should be: exit 1 or 4 with its name."""
    (tmp_path / "rules").write_text("")
    done = muster("x0tta6bl4", "--env", "staging", "--out", str(tmp_path), cwd=root)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
