"""The JSON Schema that editors use says of a file what loading says of it."""

import copy
import json
import re
import subprocess
import sys
from operator import ge, gt, le, lt
from pathlib import Path

import pytest
import yaml

from muster.errors import UsageError
from muster.system import load_environment, load_system
from muster.system.schema import schema

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool,
}  # fmt: skip


SAID_ONLY = {"then", "default", "description", "$defs", "$schema"}


def valid(value, node, root):
    """Whether a value fits a schema, for the keywords that ours uses; another keyword is an error of the test."""
    return all(fits(value, word, said, node, root) for word, said in node.items() if word not in SAID_ONLY)


def fits(value, word, said, node, root):
    match word:
        case "$ref":
            return valid(value, root["$defs"][said.removeprefix("#/$defs/")], root)
        case "type":
            return any(has_type(value, kind) for kind in ([said] if isinstance(said, str) else said))
        case "const" | "enum":
            return value in ([said] if word == "const" else said)
        case "anyOf" | "allOf" | "oneOf":
            found = [valid(value, one, root) for one in said]
            return {"anyOf": any(found), "allOf": all(found), "oneOf": sum(found) == 1}[word]
        case "if":
            return not valid(value, said, root) or valid(value, node["then"], root)
        case "pattern":
            return not isinstance(value, str) or re.search(said, value) is not None
        case "minLength" | "minItems" | "minProperties":
            kind = {"minLength": str, "minItems": list, "minProperties": dict}[word]
            return not isinstance(value, kind) or len(value) >= said
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            sign = {"minimum": ge, "exclusiveMinimum": gt, "maximum": le, "exclusiveMaximum": lt}[word]
            return not has_type(value, "number") or sign(value, said)
        case "items":
            return not isinstance(value, list) or all(valid(one, said, root) for one in value)
        case "required" | "properties" | "additionalProperties" | "propertyNames":
            return not isinstance(value, dict) or keys_fit(value, word, said, node, root)
    raise AssertionError(f"this test does not know the keyword {word}")


def keys_fit(value, word, said, node, root):
    match word:
        case "required":
            return set(said) <= value.keys()
        case "properties":
            return all(valid(value[key], said[key], root) for key in said.keys() & value.keys())
        case "propertyNames":
            return all(valid(key, said, root) for key in value)
    others = [value[key] for key in value.keys() - node.get("properties", {}).keys()]
    return not others if said is False else said is True or all(valid(one, said, root) for one in others)


def has_type(value, kind):
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


@pytest.fixture(scope="module")
def rules():
    return schema()


@pytest.fixture(scope="module")
def facts():
    return yaml.safe_load((ROOT / "systems/x0tta6bl4.yaml").read_text())


def test_the_facts_fit_their_schema(rules, facts):
    """Both environments, as they are written: with keys that are filled in later."""
    assert valid(facts, rules, rules)


MISTAKES = [
    (("slo", "error_ratio", "critical", "above"), "5"),
    (("slo", "error_ratio", "critical", "above"), 5),
    (("slo", "latency_p95", "warning", "above"), "150"),
    (("slo", "latency_p95", "warning", "above"), "2GB"),
    (("slo", "latency_p95", "window"), 60),
    (("slo", "memory", "unit"), "megabytes"),
    (("slo", "error_ratio", "critical", "below"), "1%"),
    (("slo", "error_ratio", "sereis"), []),
    (("alerts", "X0TTA6BL4PQCFallback", "severity"), "loud"),
    (("alerts", "X0TTA6BL4PQCFallback", "for"), "1"),
    (("alerts", "X0TTA6BL4PQCFallback", "tell"), []),
    (("pods", "most_restarts"), -1),
    (("dashboards", 0, "uid"), "no blanks"),
    (("load", "mix", 0, "weight"), 0),
    (("load", "mix", 0, "method"), "FETCH"),
    (("certificates", "warn_before"), "a fortnight"),
    (("environments", "staging", "descripton"), "x"),
    (("environments", "staging", "kubernetes", "port"), "http"),
    (("environments", "staging", "time_scale"), 0),
]


@pytest.mark.parametrize(("path", "value"), MISTAKES)
def test_editors_and_loading_refuse_the_same(rules, facts, tmp_path, path, value):
    """A quantity without its unit, an unknown key, a bad name: underlined when typed, refused when loaded."""
    broken = copy.deepcopy(facts)
    *parents, key = path
    place = broken
    for step in parents:
        place = place[step]
    place[key] = value
    assert not valid(broken, rules, rules)
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems/x0tta6bl4.yaml").write_text(yaml.safe_dump(broken))
    with pytest.raises(UsageError) as caught:
        load_environment(load_system("x0tta6bl4", tmp_path), "staging")
    assert str(key) in str(caught.value)


def test_what_may_be_left_out_and_filled_in(rules, facts):
    """A minimum is enough, and an environment may have its numbers from elsewhere."""
    small = copy.deepcopy(facts)
    for optional in ("pods", "mesh", "pqc", "logs", "load", "dashboards", "escalation"):
        del small[optional]
    small["environments"] = {"own": {"description": "x", "time_scale": "${SCALE:-1}", "embedded": "${EMBEDDED}"}}
    assert valid(small, rules, rules)
    small["environments"]["own"]["time_scale"] = "fast"
    assert not valid(small, rules, rules)


def test_keys_say_what_they_mean(rules):
    """The comment beside a field in the source is what an editor shows."""
    shown = rules["$defs"]["Environment"]["properties"]
    assert shown["time_scale"]["description"] == "Windows are divided by it, and nothing else."
    assert shown["discovery"]["description"].startswith("Prometheus hands on discovered pods at most every 5 s")
    assert rules["$defs"]["Alert"]["properties"]["within"]["default"] == "15m"


def muster(*words):
    argv = [sys.executable, "-m", "muster", "schema", *words]
    return subprocess.run(argv, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_committed_schema_is_current(rules):
    """docs/system.schema.json is written by 'make schema'."""
    assert json.loads((ROOT / "docs/system.schema.json").read_text()) == rules
    assert muster("--out", "docs/system.schema.json", "--check").returncode == 0
    first = (ROOT / "systems/x0tta6bl4.yaml").read_text().partition("\n")[0]
    assert first == "# yaml-language-server: $schema=../docs/system.schema.json"


def test_a_schema_that_is_not_current_is_said_so(tmp_path):
    """One sentence, and what to do."""
    (tmp_path / "old.json").write_text("{}")
    for words, code, part in (
        (("--out", tmp_path / "old.json", "--check"), 1, "run 'make schema'"),
        (("--check",), 4, "--out"),
        (("--out", tmp_path / "no/where.json"), 1, "cannot be written"),
    ):
        done = muster(*map(str, words))
        assert done.returncode == code
        assert part in done.stderr
        assert "Traceback" not in done.stderr
