"""The table of scenarios in docs/kubernetes.md, held to the tests that it names."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "docs" / "kubernetes.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("| scenario | judged by |\n| --- | --- |\n")[2].splitlines()
ROWS = [tuple(line.strip("| ").split(" | ")) for line in TABLE]


def test_every_scenario_has_a_row_of_its_own_with_a_test_or_a_reason():
    """None is listed twice, none is empty, and a reason is a sentence."""
    names = [name for name, _ in ROWS]
    assert len(names) == len(set(names)) == 116
    reasons = [cell.removeprefix("not tested: ") for _, cell in ROWS if cell.startswith("not tested: ")]
    assert all(len(reason.split()) >= 8 for reason in reasons)
    assert all(re.search(r"`[\w/]+\.py::\w+`", cell) or cell.startswith("not tested: ") for _, cell in ROWS)


def test_the_tests_that_the_scenarios_name_exist():
    """Each ``file::function`` is a test function of that file."""
    named = set(re.findall(r"`([\w/]+\.py)::(\w+)`", "\n".join(TABLE)))
    there = set()
    for file in {file for file, _ in named}:
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        there |= {(file, node.name) for node in functions}
    assert named - there == set()
