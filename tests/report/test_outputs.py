"""Run folders, summary.json, JUnit and Allure labels."""

import json
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

import pytest

from muster.errors import MusterError
from muster.report import Skip, Summary, allure, junit, run_folder
from muster.report.sections import advice, advice_on_silence, alert_of, next_step, section_title
from muster.system import load_system
from muster.verdict import Finding, Verdict


def finding(verdict, check="a.b", message="a sentence"):
    return Finding(check=check, verdict=verdict, message=message, runbook="x0tta6bl4#high-error-rate")


def summary(*findings, **changes):
    values = {"command": "smoke", "system": "s", "environment": "e", "started": 0.0, "duration_s": 1.5, **changes}
    return Summary(findings=findings, **values)


@pytest.fixture(scope="module")
def facts():
    return load_system("x0tta6bl4")


def test_a_run_folder_says_when_what_and_of_whom(tmp_path):
    """<UTC time>-<command>-<system>-<environment>, and latest points at it."""
    folder = run_folder("smoke", "s", "e", root=tmp_path)
    assert folder.name.endswith("Z-smoke-s-e")
    assert (tmp_path / "latest").resolve() == folder


def test_runs_in_the_same_second_do_not_share_a_folder(tmp_path):
    """Each gets its own, also when they begin at once, and latest always points at one."""
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: _make(tmp_path), range(8)))
    assert len(set(folders)) == 8
    assert (tmp_path / "latest").resolve() in folders


def _make(root):
    return run_folder("smoke", "s", "e", root=root)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    """A file where reports/ should be."""
    (tmp_path / "reports").touch()
    with pytest.raises(MusterError, match="no run folder can be made in"):
        run_folder("smoke", "s", "e", root=tmp_path / "reports")


@pytest.mark.parametrize(
    ("verdicts", "interrupted", "expected"),
    [
        ([], "", Verdict.UNKNOWN),
        ([Verdict.PASS], "", Verdict.PASS),
        ([Verdict.PASS, Verdict.WARN], "", Verdict.WARN),
        ([Verdict.WARN, Verdict.UNKNOWN], "", Verdict.UNKNOWN),
        ([Verdict.UNKNOWN, Verdict.FAIL], "", Verdict.FAIL),
        ([Verdict.PASS], "SIGTERM", Verdict.UNKNOWN),
        ([Verdict.FAIL], "SIGTERM", Verdict.FAIL),
    ],
)
def test_the_verdict_of_a_run_is_the_worst_of_it(verdicts, interrupted, expected):
    """Nothing judged, or cut short, is never a pass."""
    assert summary(*map(finding, verdicts), interrupted=interrupted).verdict is expected


def test_summary_json_has_the_keys_that_peoples_tools_depend_on(tmp_path):
    """schema, command, system, environment, started, duration_s, verdict, counts, findings."""
    made = summary(finding(Verdict.FAIL), skipped=[Skip(check="c.d", reason="no such source")])
    body = json.loads(made.write(tmp_path).read_text())
    assert body["schema"] == "muster/summary/v1"
    assert body["started"] == "1970-01-01T00:00:00.000+00:00"
    assert body["counts"] == {"pass": 0, "warn": 0, "fail": 1, "unknown": 0, "skip": 1}
    assert [(entry["check"], entry["verdict"]) for entry in body["findings"]] == [("a.b", "FAIL"), ("c.d", "SKIP")]
    assert {"command", "system", "environment", "duration_s", "verdict"} <= body.keys()


def test_findings_stand_in_order_of_check():
    """Whatever order they were judged in."""
    made = summary(finding(Verdict.PASS, "z.z"), finding(Verdict.PASS, "a.a"))
    assert [entry["check"] for entry in json.loads(made.to_json())["findings"]] == ["a.a", "z.z"]


def test_junit_tells_failures_from_errors(tmp_path):
    """FAIL is a failure, UNKNOWN an error, WARN passes; control characters do not break the file."""
    made = summary(
        finding(Verdict.FAIL, "a", "bell \x07 rings"),
        finding(Verdict.UNKNOWN, "b"),
        finding(Verdict.WARN, "c"),
        skipped=[Skip(check="d", reason="none")],
    )
    suite = ET.parse(junit.write(tmp_path, made, {"a": 0.25})).getroot()[0]  # noqa: S314 - our own file
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {"a": ["failure"], "b": ["error"], "c": ["system-out"], "d": ["skipped"]}
    assert suite[0].get("time") == "0.250"
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "4",
        "1",
        "1",
        "1",
    )


def test_a_run_that_was_cut_short_is_an_error_in_junit(tmp_path):
    """CI that reads nothing else still turns red."""
    suite = ET.parse(junit.write(tmp_path, summary(interrupted="SIGTERM"), {})).getroot()[0]  # noqa: S314
    assert "did not finish" in suite[0][0].get("message")


def test_labels_follow_the_facts(facts):
    """A section with a rollback trigger blocks; one without any alert is normal."""
    labels = allure.labels(facts, "x0tta6bl4#high-cpu-usage", "High CPU usage")
    assert ("severity", "critical") in labels
    assert ("story", "X0TTA6BL4HighCPUUsage") in labels
    assert ("severity", "normal") in allure.labels(facts, "x0tta6bl4#throughput", "Throughput")
    assert ("severity", "blocker") in allure.labels(facts, "x0tta6bl4#pqc-fallback", "PQC fallback")


def test_a_section_is_called_as_the_runbook_calls_it():
    """Abbreviations keep their capitals."""
    assert section_title("x0tta6bl4#pqc-handshake-failure") == "PQC handshake failure"
    assert section_title("x0tta6bl4#high-cpu-usage") == "High CPU usage"
    assert section_title("") == "Other"


def test_the_next_step_is_that_of_the_level_that_was_broken(facts):
    """The exact alert where there is one, else the section's first rung; nothing where there is no alert."""
    anchor = "x0tta6bl4#high-error-rate"
    assert alert_of(facts, anchor, "error_ratio", "rollback") == "X0TTA6BL4ErrorRatioRollback"
    assert alert_of(facts, anchor) == "X0TTA6BL4HighErrorRate"
    assert next_step(facts, "X0TTA6BL4ErrorRatioRollback") == "roll back at once, tell on-call, team-lead"
    assert next_step(facts, alert_of(facts, "x0tta6bl4#throughput")) == ""


def test_a_remedy_is_advised_only_where_its_alert_is_due(facts):
    """Else the runbook's step is: no "scale up" over a quota without room, no restart over a node without memory."""
    anchor, alert = "x0tta6bl4#high-latency", "X0TTA6BL4HighLatencyCritical"
    assert advice(facts, anchor, 1, alert, due=True) == "scale up, tell on-call"
    assert advice(facts, anchor, 3, alert, due=False).startswith("See whether the mesh is whole: `curl")
    assert advice(facts, "x0tta6bl4#service-down", 4, alert, due=False).startswith("Whether nodes or quotas are")
    fallback = advice(facts, "x0tta6bl4#pqc-fallback", 2, "X0TTA6BL4PQCFallback", due=False)
    assert fallback == "roll back at once, tell on-call, security, team-lead, cto"
    can_never_fire = advice(facts, "x0tta6bl4#pqc-fallback", 0, "X0TTA6BL4PQCFallback", due=False)
    assert can_never_fire == ""
    assert advice_on_silence(facts).endswith("and render the rules again.")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"type": "muster", "buildName": "run"}),
        (
            {"GITLAB_CI": "true", "CI_JOB_NAME": "smoke", "CI_PIPELINE_IID": "7", "CI_JOB_URL": "https://ci/7"},
            {"type": "gitlab", "name": "smoke", "buildOrder": 7, "buildUrl": "https://ci/7"},
        ),
        (
            {
                "GITHUB_ACTIONS": "true", "GITHUB_WORKFLOW": "smoke", "GITHUB_RUN_NUMBER": "x", "GITHUB_RUN_ID": "9",
                "GITHUB_SERVER_URL": "https://h", "GITHUB_REPOSITORY": "o/r",
            },
            {"type": "github", "name": "smoke", "buildUrl": "https://h/o/r/actions/runs/9"},
        ),
    ],
)  # fmt: skip
def test_the_executor_is_the_ci_system_that_tells_itself(tmp_path, environ, expected):
    """By its variables; what it does not tell is left out; without one it is this machine."""
    allure.write_executor(tmp_path, "run", environ)
    body = json.loads((tmp_path / "executor.json").read_text())
    assert {key: body.get(key) for key in expected} == expected
    assert "buildOrder" not in body or isinstance(body["buildOrder"], int)


def test_links_lead_to_a_page_of_the_report_or_to_the_address_in_the_facts(facts):
    """A path of the repository leads nowhere from a report; an address is opened as it is."""
    anchor = "x0tta6bl4#high-latency"
    assert [url for url, _ in allure.links(facts, anchor)] == [
        "runbooks/x0tta6bl4.html#high-latency",
        "coverage.html#high-latency",
    ]
    entry = facts.runbooks["x0tta6bl4"].model_copy(update={"url": "https://wiki/x", "file": "docs/x.md"})
    there = facts.model_copy(update={"runbooks": {"x0tta6bl4": entry}})
    assert allure.links(there, anchor)[0][0] == "https://wiki/x#high-latency"
    assert allure.links(facts, "other#high-latency") == []
