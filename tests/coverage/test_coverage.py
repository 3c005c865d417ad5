"""Which alerts and steps of the runbooks are proven by what; the list of those that are not may not grow."""

import json

import pytest
from click.testing import CliRunner

from muster.cli.coverage import command
from muster.coverage import cover, render
from muster.coverage.scan import checks, experiments
from muster.errors import UsageError
from muster.report import runbook
from muster.report.html import CHECKOUT
from muster.system import load_system


@pytest.fixture(scope="module")
def facts():
    return load_system("x0tta6bl4", CHECKOUT)


@pytest.fixture(scope="module")
def ours(facts, tmp_path_factory):
    """Our own runbooks, checks and experiments, without any run."""
    return cover(facts, CHECKOUT, tmp_path_factory.mktemp("reports"))


def test_everything_is_proven_or_has_a_written_reason(ours):
    """A new alert wants a rule, a check and an experiment, a new step a check: or a reason beside the runbook."""
    assert [(row.label, row.unexcused) for row in ours.unexcused] == []


def test_every_alert_of_the_facts_and_every_step_of_the_runbook_is_in_it(ours, facts):
    """Also the alert about absent data, and sections without numbered steps."""
    alerts = {row.title for row in ours.rows if row.kind == "alert"}
    assert alerts == {*facts.alerts, facts.no_data.alert}
    steps = {(row.anchor, row.step) for row in ours.rows if row.kind == "step"}
    for section in runbook.of(facts, "x0tta6bl4"):
        numbers = [step.number for step in section.steps] or [0]
        assert {(f"x0tta6bl4#{section.anchor}", number) for number in numbers} <= steps


def test_every_section_that_facts_checks_and_alerts_name_is_in_the_runbook(facts):
    """A link that leads nowhere helps nobody at night."""
    known = {f"x0tta6bl4#{section.anchor}" for section in runbook.of(facts, "x0tta6bl4")}
    named = {alert.runbook for alert in facts.alerts.values()} | {slo.runbook for slo in facts.slo.values()}
    named |= {check.anchor for check in checks(CHECKOUT / "checks") if check.anchor}
    assert named - known == set()


RUNBOOK = """# R

## High error rate

**Steps**

1. Look: `curl x`, which
   goes on over the line
2. Roll back

```sh
## not a heading
```

## Word

No steps.
"""


@pytest.fixture
def small(tmp_path, facts):
    """A small checkout: (base, cover it)."""
    for folder in ("checks", "experiments", "systems", "docs/runbooks", "reports"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docs/runbooks/x0tta6bl4.md").write_text(RUNBOOK)
    (tmp_path / "systems/x0tta6bl4.yaml").write_text((CHECKOUT / "systems/x0tta6bl4.yaml").read_text())
    check = '@runbook("x0tta6bl4#high-error-rate", step=1)\ndef test_few_fail(error_ratio):\n    pass\n'
    (tmp_path / "checks/test_errors.py").write_text(check)
    system = load_system("x0tta6bl4", tmp_path)
    return tmp_path, lambda: cover(system, tmp_path, tmp_path / "reports")


def row(coverage, title):
    return next(row for row in coverage.rows if title in {row.title, row.label})


def test_a_check_proves_its_step_and_the_alerts_of_its_indicator(small):
    """And nothing else: the next step, and the section without steps, lack a check."""
    _, again = small
    found = again()
    assert row(found, "High error rate, step 1").checks == ("errors.few_fail",)
    assert row(found, "High error rate, step 1").title.endswith("which goes on over the line")
    assert row(found, "X0TTA6BL4ErrorRatioRollback").missing == ("experiment",)
    assert row(found, "High error rate, step 2").missing == ("check",)
    assert row(found, "Word").missing == ("check",)


def test_an_experiment_proves_the_alert_that_it_expects_and_the_steps_that_it_plays(small):
    """By its objectives, by the checks that it makes fail, and by the steps that it names itself."""
    base, again = small
    (base / "experiments/bad.yaml").write_text(
        "title: t\nextensions:\n"
        "  - {name: muster, alert: X0TTA6BL4ErrorRatioRollback, finds: {errors.few_fail: words}}\n"
        "  - {name: runbook, steps: ['x0tta6bl4#high-error-rate/2']}\n"
    )
    found = again()
    assert row(found, "X0TTA6BL4ErrorRatioRollback").missing == ()
    assert [row(found, f"High error rate, step {step}").experiments for step in (1, 2)] == [("bad",), ("bad",)]


def test_a_reason_excuses_and_one_that_is_not_needed_is_said(small):
    """What is missing stays missing; names that are not there, and reasons for what is proven, are listed."""
    base, again = small
    (base / "docs/runbooks/x0tta6bl4.coverage.yaml").write_text(
        "schema: muster/coverage-notes/v1\nalso: {high-error-rate/1: [no.such_check]}\n"
        "steps: {word/0: people's work, high-error-rate/1: once upon a time}\n"
    )
    found = again()
    assert (row(found, "Word").missing, row(found, "Word").unexcused) == (("check",), ())
    assert found.stale == ("x0tta6bl4#high-error-rate/1: no.such_check", "x0tta6bl4#high-error-rate/1")


def test_the_last_verdict_is_the_newest_of_each(small):
    """The newest smoke that judged a check; the worst where it was asked of every alert; never an interrupted run."""
    base, again = small
    runs = {
        "2026-01-01T00-00-00Z-smoke": {"findings": [{"check": "errors.few_fail[A]", "verdict": "PASS"}]},
        "2026-01-02T00-00-00Z-smoke": {
            "findings": [
                {"check": "errors.few_fail[A]", "verdict": "FAIL"},
                {"check": "errors.few_fail[B]", "verdict": "PASS"},
            ]
        },
        "2026-01-03T00-00-00Z-smoke": {
            "findings": [{"check": "errors.few_fail", "verdict": "PASS"}],
            "interrupted": "x",
        },
    }
    for name, body in runs.items():
        (base / "reports" / name).mkdir()
        about = {"schema": "muster/summary/v1", "command": "smoke", "system": "x0tta6bl4", "environment": "lab"}
        (base / "reports" / name / "summary.json").write_text(json.dumps(about | body))
    found = again()
    assert row(found, "High error rate, step 1").verdict == "FAIL"
    assert found.runs == {"smoke": "2026-01-02T00-00-00Z-smoke"}


def test_an_alert_has_its_own_verdict_of_a_check_that_is_asked_of_every_alert(small):
    """Another alert that cannot fire is not this one's fault."""
    base, again = small
    (base / "checks/test_alerting.py").write_text("def test_can_fire(alert):\n    pass\n")
    said = {"X0TTA6BL4PQCFallback": "PASS", "X0TTA6BL4HighLatency": "UNKNOWN"}
    body = {"schema": "muster/summary/v1", "command": "smoke", "system": "x0tta6bl4", "environment": "lab"}
    body["findings"] = [{"check": f"alerting.can_fire[{alert}]", "verdict": verdict} for alert, verdict in said.items()]
    (base / "reports/run").mkdir()
    (base / "reports/run/summary.json").write_text(json.dumps(body))
    found = again()
    assert {alert: row(found, alert).verdict for alert in said} == said


def test_the_page_has_a_row_for_each_and_an_anchor_for_each_section(small):
    """Texts of the runbook are text there: nothing of them becomes markup."""
    base, again = small
    file = base / "docs/runbooks/x0tta6bl4.md"
    file.write_text(file.read_text().replace("2. Roll back", "2. Roll <b>back</b>"))
    page = render(again())
    assert "id='high-error-rate'" in page
    assert "<code>curl x</code>" in page
    assert "Roll &lt;b&gt;back" in page
    assert "nobody has said why" in page


def test_the_command_ends_in_1_when_something_is_neither_proven_nor_excused(small, monkeypatch):
    """And in 0 with --json for our own, with a row for each alert and step."""
    base, _ = small
    monkeypatch.chdir(base)
    said = CliRunner().invoke(command, [], standalone_mode=False)
    assert (said.return_value, "High error rate, step 2: no check" in said.output) == (1, True)
    monkeypatch.chdir(CHECKOUT)
    said = CliRunner().invoke(command, ["x0tta6bl4", "--json", "--reports", str(base)], standalone_mode=False)
    body = json.loads(said.output)
    assert (said.return_value, body["schema"]) == (0, "muster/coverage/v1")
    assert body["counts"]["alerts"] + body["counts"]["steps"] == len(body["rows"])


def test_files_that_are_broken_are_one_sentence_with_their_place(tmp_path):
    """A check that is no Python, an experiment that is no YAML."""
    (tmp_path / "test_x.py").write_text("def (:\n")
    with pytest.raises(UsageError, match=r"test_x\.py cannot be read"):
        checks(tmp_path)
    (tmp_path / "x.yaml").write_text("a: b\n c: : d\n")
    with pytest.raises(UsageError, match=r"x\.yaml:\d"):
        experiments(tmp_path)
