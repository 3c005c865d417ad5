"""promtool proves the rules at the runbooks' own windows, and the cases would notice if it were not so."""

import pytest
import yaml

from muster.errors import UsageError
from muster.rules import FORMATS, differing, render, write
from muster.rules.names import series_of
from muster.rules.shapes import counter, gauge, measured
from muster.system.model import Slo
from muster.system.rollback import Canary
from muster.system.units import Unit


def test_the_generated_cases_hold(rendered, tool):
    """Every alert: silent under threshold and duration, firing over both, resolving, and without any series."""
    folder = rendered["staging"] / "cases"
    assert "SUCCESS" in tool("promtool", "test", "rules", "x0tta6bl4.yml", cwd=folder).stdout


def test_every_alert_has_its_cases(system, rendered):
    """An alert added to the facts cannot escape any of the five questions."""
    cases = yaml.safe_load((rendered["staging"] / "cases/x0tta6bl4.yml").read_text())["tests"]
    by_name = {case["name"]: case["alert_rule_test"] for case in cases}
    for alert in system.alerts:
        under = [tests for name, tests in by_name.items() if name == f"{alert}: just under the threshold is silent"]
        assert [bool(test["exp_alerts"]) for tests in under for test in tests] == [False], alert
        over = [tests for name, tests in by_name.items() if name.startswith(f"{alert}: just over it fires after")]
        told = [bool(test["exp_alerts"]) for tests in over for test in tests]
        takes_time = system.duration_of(alert) or system.slo[system.alerts[alert].slo].over
        just_before = [False] if takes_time else []
        assert told == [False, *just_before, True, True, False], f"{alert}: before, at its time, after, resolved"
        silent = [tests for name, tests in by_name.items() if name.startswith("no series at all")]
        assert [test for tests in silent for test in tests if test["alertname"] == alert], alert
        well = [tests for name, tests in by_name.items() if name.startswith("all is well")]
        assert [test["exp_alerts"] for tests in well for test in tests if test["alertname"] == alert] == [[]], alert


def test_what_does_not_move_is_well(system, rendered):
    """In every case but the one without series, all that the rules stand on exists: no absence disturbs it."""
    cases = yaml.safe_load((rendered["staging"] / "cases/x0tta6bl4.yml").read_text())["tests"]
    names = [{series["series"].partition("{")[0] for series in case["input_series"]} for case in cases]
    assert [case["name"][:19] for case, found in zip(cases, names, strict=True) if not found] == ["no series at all: w"]
    assert all(found >= {*series_of(system), "up"} for found in names if found)


def test_the_canarys_cases_hold_too(system, staging, rendered, tool, tmp_path):
    """At true scale; the canary's series move its own alerts and no other, and its rules change no other's."""
    canary = Canary(ingress="next", deployment="next", metric_selector='namespace="x",app="next"')
    rollback = staging.rollback.model_copy(update={"canary": canary})
    write(system, staging.model_copy(update={"rollback": rollback}), tmp_path)
    file = tmp_path / "cases/x0tta6bl4.yml"
    content = yaml.safe_load(file.read_text())
    own = {case["name"].partition(" ")[0] for case in content["tests"] if " of the canary: " in case["name"]}
    content["tests"] = [case for case in content["tests"] if case["name"].partition(" ")[0].rstrip(":") in own]
    assert len(content["tests"]) == 2 * 6, "under and over, of the whole and of the canary, for three alerts"
    file.write_text(yaml.safe_dump(content))
    assert "SUCCESS" in tool("promtool", "test", "rules", file.name, cwd=file.parent).stdout
    # Every other case moves alerts whose rules are byte for byte those that test_the_generated_cases_hold proves.
    without, with_it = (_rules(folder / "rules/x0tta6bl4.yml") for folder in (rendered["staging"], tmp_path))
    assert [rule for rule in with_it if rule in without] == without
    added = [rule.get("alert") or rule["record"] for rule in with_it if rule not in without]
    assert {name for name in added if ":canary_" not in name} == own


def _rules(file):
    return yaml.safe_load(file.read_text())["groups"][0]["rules"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("> 0.1\n", "> 0.102\n"),
        ("> 0.1\n", "> 0.0985\n"),
        ("> 0.5\n", "> 0.511\n"),
        ("> 2400000000\n", "> 2430000000\n"),
        ("> 3\n", "> 2\n"),
        ("> 3\n", "> 4\n"),
        ("for: 10m\n", "for: 11m\n"),
        ("for: 10m\n", "for: 9m\n"),
        ("for: 0s\n", "for: 15s\n"),
        ("or absent(sum(up{", "or (sum(up{"),
        ("action: rollback", "action: restart"),
    ],
)
def test_the_cases_notice_a_wrong_rule(rendered, tool, tmp_path, old, new):
    """Two percent off the threshold, a minute off the duration, a lost label: each fails some case."""
    rules = (rendered["staging"] / "rules/x0tta6bl4.yml").read_text()
    assert old in rules
    (tmp_path / "rules").mkdir()
    (tmp_path / "cases").mkdir()
    (tmp_path / "rules/x0tta6bl4.yml").write_text(rules.replace(old, new, 1))
    content = yaml.safe_load((rendered["staging"] / "cases/x0tta6bl4.yml").read_text())
    content["tests"] = [case for case in content["tests"] if _concerns(case["name"], old)]
    (tmp_path / "cases/x0tta6bl4.yml").write_text(yaml.safe_dump(content))
    done = tool("promtool", "test", "rules", "x0tta6bl4.yml", cwd=tmp_path / "cases", ok=False)
    assert done.returncode == 1, done.stdout
    assert "FAILED" in done.stdout + done.stderr


def _concerns(case: str, change: str) -> bool:
    """Only the cases that the change is about: each costs virtual minutes."""
    about = {
        "> 0.1": "ErrorRatioRollback", "> 0.5": "LatencyRollback", "> 24": "MemoryExhaustion",
        "> 3": "FrequentRestarts", "for: 10m": "LatencyRollback", "for: 0s": "PQCFallback",
        "or absent": "no series at all", "action": "ErrorRatioRollback",
    }  # fmt: skip
    return any(word in case for start, word in about.items() if change.startswith(start))


def test_committed_rules_are_what_the_facts_render(system, staging, root):
    """deploy/rules and deploy/dashboards are written by 'make rules' and never by hand."""
    assert differing(system, staging, root / "deploy/rules") == {}
    assert differing(system, staging, root / "deploy/dashboards", ("grafana",)) == {}


def test_a_scaled_environment_has_no_cases(system, lab):
    """The cases prove true-scale rules, and would prove nothing about others."""
    with pytest.raises(UsageError, match="true scale"):
        render(system, lab, "cases")


def test_a_missing_example_is_named(system, staging):
    """An alert that cannot be proven is an error, not a gap."""
    slo = system.slo["memory"].model_copy(update={"example": None})
    poorer = system.model_copy(update={"slo": {**system.slo, "memory": slo}})
    with pytest.raises(UsageError, match=r"slo\.memory\.example of x0tta6bl4 is missing"):
        render(poorer, staging, "cases")


AVAILABILITY = {
    "title": "Share of requests that are answered", "unit": "ratio", "window": "5m", "series": ["r_total"],
    "query": 'sum(rate(r_total{ok="1",{selector}}[{window}])) / sum(rate(r_total{{selector}}[{window}]))',
    "example": {"shape": "ratio", "series": 'r_total{ok="1"}', "rest": 'r_total{ok="0"}'},
    "runbook": "x0tta6bl4#high-error-rate", "critical": {"below": "99.9%", "for": "5m", "source": "decisions / x"},
}  # fmt: skip
QUEUE = {
    "title": "Workers", "unit": "count", "series": ["workers"], "query": "min(workers{{selector}})",
    "example": {"shape": "gauge", "series": "workers"},
    "runbook": "x0tta6bl4#high-error-rate", "critical": {"below": "3", "for": "2m", "source": "decisions / x"},
}  # fmt: skip


@pytest.mark.parametrize("slo", [AVAILABILITY, QUEUE], ids=["a ratio", "a gauge"])
def test_a_limit_from_below_is_proven_too(system, staging, tool, tmp_path, slo):
    """An availability that falls, a number of workers that shrinks: the same questions, the other way round."""
    alert = system.alerts["X0TTA6BL4HighErrorRateCritical"].model_copy(update={"slo": "own", "for_s": None})
    changed = {"slo": {"own": Slo.model_validate(slo)}, "alerts": {"Own": alert}}
    write(system.model_copy(update=changed), staging, tmp_path)
    assert "SUCCESS" in tool("promtool", "test", "rules", "x0tta6bl4.yml", cwd=tmp_path / "cases").stdout


def test_a_selector_that_cannot_be_a_series_is_named(system, staging):
    """A regular expression matches series, but is none."""
    odd = staging.model_copy(update={"metric_selector": 'app=~"x.*"'})
    with pytest.raises(UsageError, match=r"environments\.staging\.metric_selector"):
        render(system, odd, "cases")


def test_writing_again_changes_nothing_and_differences_are_found(system, staging, tmp_path):
    """The same facts give the same bytes; a touched or missing file is named."""
    files = write(system, staging, tmp_path)
    before = {file: file.read_bytes() for file in files}
    assert len(files) == len(set(FORMATS) - {"grafana"})
    assert write(system, staging, tmp_path) == files
    assert {file: file.read_bytes() for file in files} == before
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(files)
    files[0].write_text("groups: []\n")
    files[1].unlink()
    assert list(differing(system, staging, tmp_path)) == files[:2]


def test_series_notation_keeps_sample_n_at_n_steps():
    """A stretch of n samples moves time by n steps, whatever went before."""
    assert gauge([(1, 4), (0, 2)]) == "1+0x4 0+0x1"
    assert counter([(0, 2), (1.5, 3), (0, 1)]) == "0+0x2 1.5+1.5x2 4.5+0x0"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.101, Unit.RATIO, "10.1%"),
        (0.5098, Unit.SECONDS, "509.8ms"),
        (1.5, Unit.SECONDS, "1.5s"),
        (3725.0, Unit.SECONDS, "1h 2m 5s"),
        (2.424e9, Unit.BYTES, "2.424GB"),
        (6800, Unit.PER_SECOND, "6.8k/s"),
        (0.25, Unit.COUNT, "250m"),
        (0, Unit.COUNT, "0"),
        (1, Unit.COUNT, "1"),
    ],
)
def test_values_are_expected_as_prometheus_prints_them(value, unit, text):
    """Prometheus' humanize functions, mirrored for the cases; promtool compares every byte."""
    assert measured(value, unit) == text
