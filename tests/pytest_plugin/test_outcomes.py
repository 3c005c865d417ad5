"""Verdicts, exit codes and words of a run of checks."""

import json
import warnings

import pytest

from muster.pytest_plugin.outcome import in_one, said_of
from muster.system import load_system
from muster.verdict import SLOWarning


def verdicts(summary):
    return {finding["check"]: finding["verdict"] for finding in summary["findings"]}


def test_a_healthy_snapshot_passes_every_check(checks, write_snapshot, readings):
    """Exit 0, nothing unknown, at least fifteen checks, and each names a section of the runbook that exists."""
    write_snapshot(readings)
    code, summary, output = checks()
    assert (code, summary["verdict"]) == (0, "PASS"), output
    assert summary["counts"]["pass"] == len(summary["findings"]) >= 15
    assert all(finding["runbook"].startswith("x0tta6bl4#") for finding in summary["findings"])
    assert "x0tta6bl4/lab" in output


def test_a_broken_limit_fails_with_the_runbooks_next_step(checks, write_snapshot, readings):
    """Exit 1; the finding has the sentence, the alert of the broken level and what it asks for."""
    readings["error_ratio"]["value"] = 0.15
    write_snapshot(readings)
    code, summary, output = checks()
    finding = next(entry for entry in summary["findings"] if entry["check"] == "errors.few_requests_fail")
    assert (code, finding["verdict"]) == (1, "FAIL")
    assert finding["message"].startswith("x0tta6bl4/lab error_ratio 15% > 10% over 5s (rollback; ")
    assert (finding["alert"], finding["severity"]) == ("X0TTA6BL4ErrorRatioRollback", "critical")
    assert "runbook: High error rate, step 1 -> roll back at once, tell on-call, team-lead" in output


def test_less_than_a_rollback_does_not_ask_for_one(checks, write_snapshot, readings):
    """Between 5% and 10% the step is the critical alert's."""
    readings["error_ratio"]["value"] = 0.07
    write_snapshot(readings)
    _, summary, output = checks("-k", "few_requests_fail")
    assert summary["findings"][0]["alert"] == "X0TTA6BL4HighErrorRateCritical"
    assert "roll back" not in output


def test_an_alert_that_fires_is_shown_in_its_own_section_with_its_own_remedy(checks, write_snapshot, readings):
    """Over failing requests nobody is told to restart, as the check's own section would have it."""
    labels = {"severity": "critical", "alertname": "X0TTA6BL4ErrorRatioRollback"}
    readings["alerts"] = [
        {"name": labels["alertname"], "state": "firing", "labels": labels, "summary": "it burns",
         "active_at": "2026-01-01T09:12:03Z"},
    ]  # fmt: skip
    write_snapshot(readings)
    _, summary, output = checks("-k", "nothing_critical")
    assert summary["findings"][0]["runbook"] == "x0tta6bl4#high-error-rate"
    assert "runbook: High error rate -> roll back at once, tell on-call, team-lead" in output


def test_many_warnings_of_one_check_are_one_sentence():
    """Each is said once, three are said in full."""
    assert in_one(["a", "b", "c"]) == "a; b; c"
    assert in_one([str(number) for number in range(1000)]) == "0; 1; 2 (and 997 more)"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for message in ("x", "y", "x"):
            warnings.warn(message, SLOWarning, stacklevel=1)
    assert said_of(heard) == ["x", "y"]


def test_without_prometheus_what_needs_it_is_unknown_and_nothing_of_it_passes(checks, write_snapshot, readings):
    """Exit 6: no data is never a pass; what does not need it is judged."""
    of_prometheus = {
        *load_system("x0tta6bl4").slo,
        *(
            "targets",
            "rules",
            "alerts",
            "alertmanagers",
            "prometheus_ready",
            "series",
            "rule_series",
            "buckets",
            "metric_types",
            "panels",
        ),
    }
    write_snapshot(readings, failures=of_prometheus)
    code, summary, output = checks()
    assert (code, summary["verdict"]) == (6, "UNKNOWN")
    found = verdicts(summary)
    for check, verdict in found.items():
        room = check.split(".")[0]
        if room in {"errors", "latency", "traffic", "cpu", "down", "targets", "alerting"}:
            assert verdict == "UNKNOWN", check
    assert found["health.every_replica_is_healthy"] == "PASS"
    assert "error_ratio is not there" in output


def test_a_failure_outranks_what_is_unknown(checks, write_snapshot, readings):
    """Exit 1, not 6, when both are there."""
    readings["health"]["a"]["status_code"] = 503
    write_snapshot(readings, failures={"rules"})
    code, summary, _ = checks()
    assert code == 1
    assert summary["counts"]["unknown"] > 0


def test_a_warning_passes_and_strict_makes_it_fail(checks, write_snapshot, readings):
    """WARN is exit 0 and shown; --strict is exit 1."""
    readings["latency_p95"]["value"] = 0.16
    write_snapshot(readings)
    code, summary, output = checks("-k", "p95_is_low")
    assert (code, summary["verdict"], summary["counts"]["warn"]) == (0, "WARN", 1)
    assert "latency_p95 160 ms > 150 ms" in output
    code, summary, _ = checks("-k", "p95_is_low", "--strict")
    assert (code, summary["verdict"]) == (1, "FAIL")


def test_a_source_that_is_not_declared_is_a_skip_with_its_reason(checks, write_snapshot, readings):
    """And a run in which everything is skipped has judged nothing: UNKNOWN."""
    write_snapshot(readings, failures={"mesh_tls"}, kind="undeclared")
    code, summary, output = checks("-k", "negotiates")
    assert (code, summary["counts"]["skip"]) == (6, 1)
    assert "skipped: mesh_tls is not there" in output
    code, summary, _ = checks("-k", "negotiates or every_pod_runs")
    assert (code, summary["verdict"]) == (0, "PASS")


def test_no_check_selected_is_not_green(checks, write_snapshot, readings):
    """-k that matches nothing: UNKNOWN, and it says so."""
    write_snapshot(readings)
    code, summary, output = checks("-k", "nosuchthing")
    assert (code, summary["verdict"]) == (6, "UNKNOWN")
    assert "no check was judged" in output


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("def test_x(health):\n    raise KeyError('oops')", "UNKNOWN"),
        ("def test_x(health):\n    assert not health, 'a sentence'", "FAIL"),
        ("import nosuchmodule\ndef test_x(): pass", "UNKNOWN"),
        ("def test_x(nosuchreading): pass", "UNKNOWN"),
        ("import pytest\ndef test_x(health): pytest.fail('a sentence')", "FAIL"),
    ],
    ids=["exception", "assertion", "import error", "no such fixture", "pytest.fail"],
)
def test_only_a_false_claim_fails_and_whatever_breaks_is_unknown(
    checks, write_snapshot, readings, project, body, verdict
):
    """A check that crashes, cannot be loaded or asks for what nobody reads has shown nothing."""
    write_snapshot(readings)
    (project / "checks" / "test_broken.py").write_text(body)
    code, summary, output = checks()
    broken = [entry for entry in summary["findings"] if entry["check"].startswith("broken")]
    assert [entry["verdict"] for entry in broken] == [verdict], output
    assert code == {"UNKNOWN": 6, "FAIL": 1}[verdict]
    if verdict == "FAIL":
        assert broken[0]["message"] in {"a sentence", "Failed: a sentence"}


def test_the_same_snapshot_gives_the_same_findings_byte_for_byte(checks, write_snapshot, readings, project):
    """Judged twice, and judged from the snapshot that the first run wrote."""
    readings["pods"][0]["phase"] = "Pending"
    write_snapshot(readings, failures={"rules"})
    first = json.dumps(checks()[1]["findings"])
    (project / "snapshot.json").write_bytes((project / "out" / "snapshot.json").read_bytes())
    assert json.dumps(checks()[1]["findings"]) == first


def test_findings_as_json_are_the_summary_and_nothing_else(checks, write_snapshot, readings):
    """What a program reads from standard output is the file."""
    write_snapshot(readings)
    _, summary, output = checks("--findings", "json")
    assert json.loads(output)["findings"] == summary["findings"]


def test_verbose_keeps_pytests_own_output_with_the_new_words(checks, write_snapshot, readings):
    """-v shows each check, UNKNOWN and WARN by name."""
    readings["latency_p95"]["value"] = 0.16
    write_snapshot(readings, failures={"rules"})
    _, _, output = checks("-v")
    assert "UNKNOWN" in output
    assert "WARN" in output
    assert "PASSED" in output


def test_an_alertmanager_that_does_not_answer_is_told_nothing(checks, write_snapshot, readings):
    """Prometheus lists a configured address whether anybody answers there or not: UNKNOWN, not a pass."""
    write_snapshot(readings, failures={"routes", "silences", "notified"})
    code, summary, _ = checks("-k", "tells_an_alertmanager")
    assert (code, verdicts(summary)) == (6, {"alerting.prometheus_tells_an_alertmanager": "UNKNOWN"})


def test_a_rule_that_is_not_what_the_facts_say_fails(checks, write_snapshot, readings):
    """It bears the right name, and would fire at another threshold."""
    rule = next(rule for rule in readings["rules"] if rule["name"] == "X0TTA6BL4ErrorRatioRollback")
    rule["query"] = rule["query"].replace("> 0.1", "> 0.9")
    write_snapshot(readings)
    code, summary, output = checks("-k", "is_a_rule_in_force")
    assert (code, verdicts(summary)) == (1, {"alerting.every_alert_is_a_rule_in_force": "FAIL"})
    assert "X0TTA6BL4ErrorRatioRollback is not what the facts say: it has the expression" in output


def test_without_the_facts_rules_silence_is_unknown(checks, write_snapshot, readings):
    """Where nothing could fire, that nothing does is no pass; neither is a snapshot without what was expected."""
    readings["rules"] = []
    del readings["expected_rules"]
    write_snapshot(readings)
    code, summary, _ = checks("-k", "test_alerting and not tells and not can_fire and not of_a_counter")
    assert (code, set(verdicts(summary).values())) == (6, {"UNKNOWN"})
    assert len(summary["findings"]) == 5


def test_a_sentence_is_shown_as_such_and_what_broke_keeps_its_traceback(checks, write_snapshot, readings, project):
    """With -v: no traceback through the judges for a claim that is false, all of it for a check that crashed."""
    readings["error_ratio"]["value"] = 0.15
    write_snapshot(readings)
    (project / "checks" / "test_broken.py").write_text("def test_x(health):\n    raise KeyError('oops')\n")
    _, _, output = checks("-v", "-k", "few_requests_fail or broken")
    assert "error_ratio 15% > 10%" in output
    assert "(checks/test_errors.py:" in output
    assert "def assert_holds" not in output
    assert "raise KeyError('oops')" in output


def test_an_indicator_without_prometheus_passes_and_says_how_it_was_measured(checks, write_snapshot, readings):
    """Two looks at /metrics are less than a window of Prometheus: whoever reads the pass is told."""
    readings["error_ratio"]["method"] = "from two scrapes of /metrics"
    write_snapshot(readings)
    code, summary, _ = checks("-k", "few_requests_fail or p95_is_low")
    said = {finding["check"]: (finding["verdict"], finding["message"]) for finding in summary["findings"]}
    measured = "error_ratio is measured from two scrapes of /metrics: no Prometheus is declared"
    assert (code, said["errors.few_requests_fail"]) == (0, ("PASS", measured))
    assert said["latency.p95_is_low"] == ("PASS", "")
