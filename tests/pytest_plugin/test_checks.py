"""The checks themselves: short, of the runbook, without I/O and without opinions on environments."""

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = sorted((CHECKOUT / "checks").glob("test_*.py"))
RUNBOOK = (CHECKOUT / "docs" / "runbooks" / "x0tta6bl4.md").read_text()
SECTIONS = {
    re.sub(r"[^a-z0-9]+", "-", line[3:].strip().lower()) for line in RUNBOOK.splitlines() if line.startswith("## ")
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_check_names_a_section_that_its_runbook_has(file):
    """A marker that points nowhere would send whoever is on call nowhere.

    A check that takes ``alert`` is judged in each alert's own section, which the facts name.
    """
    tree = ast.parse(file.read_text())
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        calls = [call for call in function.decorator_list if isinstance(call, ast.Call)]
        anchors = [call.args[0].value for call in calls if getattr(call.func, "id", "") == "runbook"]
        if "alert" in {argument.arg for argument in function.args.args}:
            assert not anchors, function.name
            continue
        assert len(anchors) == 1, function.name
        assert anchors[0].partition("#")[2] in SECTIONS, f"{function.name}: {anchors[0]}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_checks_are_short_and_read_no_clock_file_or_socket(file):
    """What is judged was read before; how it is judged is in muster.judge; where it runs is nobody's business here."""
    text = file.read_text()
    assert len(text.splitlines()) <= 60
    modules = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert all(module.startswith(("muster.judge", "muster.pytest_plugin")) for module in modules)
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]
    assert "env ==" not in text
