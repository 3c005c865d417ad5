"""The loaded rules against the facts' own: by expression, duration and labels, not by name alone."""

import dataclasses
import shutil
import subprocess
import time

import pytest
import yaml
from ports import free_port

from muster.errors import Unknown
from muster.judge import ruleset
from muster.pytest_plugin.expected import render
from muster.read import take
from muster.rules.prometheus import rule_file
from muster.system import load_system
from muster.system.environment import Environment

ROLLBACK = "X0TTA6BL4ErrorRatioRollback"
SELECTOR = (
    'namespace="n", app=\'a\',pod=~"a-\\\\d+|b{2}"'  # spaces, quotes and escapes that Prometheus prints otherwise
)


@pytest.fixture(scope="module")
def facts():
    return load_system("x0tta6bl4")


@pytest.fixture(scope="module")
def here():
    """An environment as unlike Prometheus' own way of writing as it may be."""
    return Environment.model_validate(
        {"name": "lab", "description": "tests", "time_scale": 60, "metric_selector": SELECTOR}
    )


@pytest.fixture
def expected(facts, here):
    return ruleset.expected_rules(render(facts, here))


@pytest.fixture
def loaded(expected):
    """The rules as a Prometheus holds them."""
    common = {"group": "g", "health": "ok", "last_error": "", "state": ""}
    return tuple(ruleset.Rule(**vars(rule), **common) for rule in expected)


def changed(loaded, name, **changes):
    return tuple(dataclasses.replace(rule, **changes) if rule.name == name else rule for rule in loaded)


@pytest.fixture(scope="module")
def prometheus(facts, here, tmp_path_factory):
    """A real Prometheus that has loaded the rendered rules."""
    if shutil.which("prometheus") is None:
        pytest.skip("the program prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text(yaml.safe_dump(rule_file(facts, here)))
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"]}))
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def test_what_a_real_prometheus_prints_of_the_rules_is_what_the_facts_say(facts, here, prometheus, expected):
    """However it writes expressions and durations, nothing of its own rules differs, and they are evaluated."""
    source, deadline = here.model_copy(update={"prometheus": prometheus}), time.monotonic() + 20
    while True:
        reading = take(facts, source, ["rules"]).readings["rules"]
        evaluated = reading.failure is None and all(rule["health"] != "unknown" for rule in reading.value)
        if evaluated and reading.value:
            break
        assert time.monotonic() < deadline, reading
        time.sleep(0.05)
    ruleset.assert_every_rule_is_loaded(ruleset.rules(reading.value), expected)


def test_a_rule_that_is_missing_can_never_fire(loaded, expected):
    """It is named, be it an alert or what alerts stand on."""
    recorded = "x0tta6bl4:error_ratio:rate1m"
    for name, then in ((ROLLBACK, "it can never fire"), (recorded, "what stands on it is silent")):
        rest = tuple(rule for rule in loaded if rule.name != name)
        with pytest.raises(AssertionError, match=f"no rule {name}: {then}"):
            ruleset.assert_every_rule_is_loaded(rest, expected)


def test_rules_of_which_none_is_loaded_were_not_selected(loaded, expected):
    """As an operator does with what its selector does not take: it is applied cleanly, and no alert can ever fire."""
    others = (dataclasses.replace(loaded[0], name="theirs"),)
    with pytest.raises(
        AssertionError, match=rf"none of the facts' {len(expected)} rules, .*ruleSelector.*rules\.labels"
    ):
        ruleset.assert_every_rule_is_loaded(others, expected)
    with pytest.raises(AssertionError, match="no rule "):
        ruleset.assert_every_rule_is_loaded(loaded[:1], expected)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"query": "vector(0)"}, r"the expression vector\(0\) \(facts: x0tta6bl4:error_ratio:rate1m\{.*\} > 0.1\)"),
        ({"for_s": 6.0}, r"for 6s \(facts: 5s\)"),
        ({"for_s": 300.0}, r"for 5m \(facts: 5s\)"),
    ],
)
def test_a_rule_of_that_name_with_another_meaning_fails(loaded, expected, changes, said):
    """What is loaded and what the facts say stand side by side."""
    with pytest.raises(AssertionError, match=f"rule {ROLLBACK} is not what the facts say: it has {said}"):
        ruleset.assert_every_rule_is_loaded(changed(loaded, ROLLBACK, **changes), expected)


@pytest.mark.parametrize(
    ("old", "new"),
    [("> 0.1", "> 0.2"), ("> 0.1", "< 0.1"), ("error_ratio", "latency_p95"), ('="lab"', '="dev"'), ("0.1", "0.1 > 9")],
)
def test_one_word_of_the_expression_is_enough(loaded, expected, old, new):
    """The threshold, the comparison, the series, its matchers, and what is added to it."""
    query = next(rule.query for rule in loaded if rule.name == ROLLBACK)
    assert old in query
    with pytest.raises(AssertionError, match=f"rule {ROLLBACK} is not what the facts say"):
        ruleset.assert_every_rule_is_loaded(changed(loaded, ROLLBACK, query=query.replace(old, new)), expected)


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        ("severity", "warning", r"severity warning \(facts: critical\)"),
        ("action", "none", r"action none \(facts: rollback\)"),
        ("tell", None, r"tell absent \(facts: on-call,team-lead\)"),
    ],
)
def test_a_label_that_differs_changes_who_is_told_and_what_is_done(loaded, expected, label, value, said):
    """Labels are what routes and the responder act on; labels of somebody else's beside them are no fault."""
    labels = dict(next(rule.labels for rule in loaded if rule.name == ROLLBACK))
    more = changed(loaded, ROLLBACK, labels={**labels, "team": "mesh"})
    ruleset.assert_every_rule_is_loaded(more, expected)
    other = {key: text for key, text in {**labels, label: value}.items() if text is not None}
    with pytest.raises(AssertionError, match=f"rule {ROLLBACK} .* it has {said}"):
        ruleset.assert_every_rule_is_loaded(changed(loaded, ROLLBACK, labels=other), expected)


def test_a_second_rule_of_the_same_name_must_be_the_same_too(loaded, expected):
    """The good one does not excuse the other."""
    rule = next(rule for rule in loaded if rule.name == ROLLBACK)
    ruleset.assert_every_rule_is_loaded((*loaded, rule), expected)
    with pytest.raises(AssertionError, match=f"rule {ROLLBACK} is not"):
        ruleset.assert_every_rule_is_loaded((*loaded, dataclasses.replace(rule, for_s=0.0)), expected)


def test_one_of_several_rules_of_a_name_that_is_missing_is_found(loaded, expected, facts):
    """The alert for absent series is one rule for each of them."""
    absences = [rule for rule in loaded if rule.name == facts.no_data.alert]
    assert len(absences) > 1
    rest = tuple(rule for rule in loaded if rule is not absences[0])
    with pytest.raises(AssertionError, match=rf"no rule {facts.no_data.alert} for absent\(count\("):
        ruleset.assert_every_rule_is_loaded(rest, expected)


@pytest.mark.parametrize("name", [ROLLBACK, "x0tta6bl4:error_ratio:rate1m"])
@pytest.mark.parametrize(("health", "error"), [("err", AssertionError), ("unknown", Unknown)])
def test_a_rule_that_is_not_evaluated_is_no_alert(loaded, expected, name, health, error):
    """An error fails, not evaluated yet is unknown; a recording that fails silences every alert over it."""
    with pytest.raises(error, match=name):
        ruleset.assert_every_rule_is_loaded(changed(loaded, name, health=health, last_error="bad"), expected)


def test_nothing_expected_is_nothing_judged(loaded):
    """No rule to look for is no pass."""
    with pytest.raises(Unknown, match="the facts ask for no rule"):
        ruleset.assert_every_rule_is_loaded(loaded, ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('a{x="1",y="2"} > 0.10', "a{ y='2', x=`1`, }>1e-1"),
        ('absent(count(a{p=~"x{2},y"}))', 'absent( count (a{p=~"x{2},y"}) )'),
        (r'a{x="\\d"}', r"a{x=`\d`}"),
    ],
)
def test_the_same_expression_written_in_two_ways_is_one(one, other):
    """Spaces, quotes, the order of matchers and the way of writing a number do not count."""
    assert ruleset.canonical(one) == ruleset.canonical(other)
