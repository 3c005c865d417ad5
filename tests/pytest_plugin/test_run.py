"""What a run needs, refuses, leaves behind, and leaves alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET

import pytest


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--system", "nope"), "there is no system 'nope'"),
        (("--env", "nope"), "x0tta6bl4 has no environment 'nope'"),
        ((), "start it with 'muster lab up'"),
        (("--snapshot", "none.json"), "none.json cannot be read"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_exit_4(checks, arguments, sentence):
    """Unknown system or environment, a lab that does not run, a snapshot that is not there: no traceback."""
    code, summary, output = checks(*arguments, snapshot=False)
    assert (code, summary) == (4, None)
    assert sentence in output
    assert "Traceback" not in output


def test_a_snapshot_of_another_system_is_refused(checks, write_snapshot, readings):
    """What was asked for and what the file holds must agree."""
    write_snapshot(readings)
    code, _, output = checks("--env", "staging")
    assert code == 4
    assert "is a snapshot of x0tta6bl4/lab, not of staging" in output


def test_the_outputs_agree_with_each_other(checks, write_snapshot, readings, project):
    """summary.json, junit.xml and allure-results tell the same story."""
    readings["error_ratio"]["value"] = 0.15
    write_snapshot(readings, failures={"rules"})
    _, summary, _ = checks(allure=True)
    suite = ET.parse(project / "out" / "junit.xml").getroot()[0]  # noqa: S314 - our own file
    counts = summary["counts"]
    assert (int(suite.get("failures")), int(suite.get("errors"))) == (counts["fail"], counts["unknown"])
    assert len(suite) == sum(counts.values())
    results = [json.loads(file.read_text()) for file in (project / "out" / "allure-results").glob("*-result.json")]
    statuses = [result["status"] for result in results]
    assert statuses.count("failed") == counts["fail"]
    assert statuses.count("broken") == counts["unknown"]
    assert statuses.count("passed") == counts["pass"]


def test_allure_labels_come_from_the_facts(checks, write_snapshot, readings, project):
    """Epic, feature, stories, severity, link, and the check's own readings as evidence."""
    write_snapshot(readings)
    checks("-k", "few_requests_fail", allure=True)
    folder = project / "out" / "allure-results"
    (result,) = [json.loads(file.read_text()) for file in folder.glob("*-result.json")]
    labels = {(label["name"], label["value"]) for label in result["labels"]}
    wanted = {("epic", "x0tta6bl4"), ("feature", "High error rate"), ("severity", "blocker")}
    assert wanted | {("story", "X0TTA6BL4ErrorRatioRollback")} <= labels
    assert result["name"] == "few requests fail"
    assert result["links"][0]["url"].endswith("#high-error-rate")
    assert result["links"][0]["url"] == "runbooks/x0tta6bl4.html#high-error-rate"
    evidence = {entry["name"]: (folder / entry["source"]).read_text() for entry in result["attachments"]}
    assert json.loads(evidence["reading: error_ratio"])["value"]["value"] == 0.0
    assert "1. See which endpoints and replicas fail" in evidence["runbook: High error rate"]
    assert json.loads((folder / "executor.json").read_text())["buildName"] == "out"
    assert (folder / "environment.properties").read_text().startswith("system=x0tta6bl4\n")
    names = " ".join(entry["name"] for entry in json.loads((folder / "categories.json").read_text()))
    assert [word for word in ("Does not hold", "Unknown", "Flaky") if word not in names] == []


def test_a_check_of_each_alert_is_shown_by_the_alert_that_it_is_about(checks, write_snapshot, readings, project):
    """One function, many checks: title, story, severity and finding are of one alert, not of its section."""
    write_snapshot(readings)
    _, summary, _ = checks("-k", "can_fire and Latency", allure=True)
    files = (project / "out" / "allure-results").glob("*-result.json")
    results = {result["name"]: result["labels"] for result in (json.loads(file.read_text()) for file in files)}
    names = {
        "X0TTA6BL4HighLatency": "normal",
        "X0TTA6BL4HighLatencyCritical": "critical",
        "X0TTA6BL4LatencyRollback": "blocker",
    }
    assert results.keys() == {f"the alert can fire: {name}" for name in names}
    for name, severity in names.items():
        told = {(label["name"], label["value"]) for label in results[f"the alert can fire: {name}"]}
        assert {value for kind, value in told if kind == "story"} == {name}
        assert ("severity", severity) in told
    assert {finding["alert"] for finding in summary["findings"]} == names.keys()


def test_over_an_alert_that_can_never_fire_nobody_is_told_to_do_what_it_asks_for(checks, write_snapshot, readings):
    """Not "roll back at once" because a rule is missing: the runbook on absent data is followed."""
    readings["rules"] = [rule for rule in readings["rules"] if rule["name"] != "X0TTA6BL4PQCFallback"]
    write_snapshot(readings)
    _, _, output = checks("-k", "can_fire and PQCFallback")
    assert "Prometheus has no rule X0TTA6BL4PQCFallback: it can never fire" in output
    assert "render the rules again" in output
    assert "roll back" not in output


def test_a_folder_that_is_used_again_holds_the_last_run_only(checks, write_snapshot, readings, project):
    """Results of an earlier run do not mix with this one's."""
    write_snapshot(readings)
    for _ in range(2):
        checks("-k", "few_requests_fail", allure=True)
    assert len(list((project / "out" / "allure-results").glob("*-result.json"))) == 1


def test_each_source_is_asked_once_however_many_checks_judge_it(pytester, project, checks):
    """Live: the readings of the selected checks, and of no others, are taken before the first check."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    asked.append(client.recv(4096).split(b" ")[1])
                    body = b'{"status": "ok", "version": "1", "dependencies": {}}'
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        facts = (project / "systems" / "x0tta6bl4.yaml").read_text()
        here = (
            f"  here:\n    description: a server of this test\n    http: http://127.0.0.1:{server.getsockname()[1]}\n"
        )
        (project / "systems" / "x0tta6bl4.yaml").write_text(facts.rstrip() + "\n" + here)
        (project / "checks" / "test_again.py").write_text("def test_x(ingress_health): assert ingress_health.version\n")
        code, summary, output = checks("--env", "here", "-k", "users_reach or again or mesh", snapshot=False)
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert asked == [b"/health"]
    assert code == 0, output
    assert (summary["counts"]["pass"], summary["counts"]["skip"]) == (2, 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_early_is_never_green_and_leaves_its_outputs(project, write_snapshot, readings, number):
    """SIGTERM ends a run as Ctrl-C does: what was not judged is unknown."""
    write_snapshot(readings)
    (project / "checks" / "test_zz.py").write_text(
        "import pathlib, threading\ndef test_z():\n    pathlib.Path('here').touch()\n    threading.Event().wait(30)\n"
    )
    command = [
        sys.executable, "-m", "pytest", "--disable-plugin-autoload", "-p", "muster.pytest_plugin", "checks",
        "--snapshot", "snapshot.json", "--run-dir", "out", "-k", "health or zz",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
        _until_exists(project / "here", process)
        process.send_signal(number)
        output = process.communicate(timeout=20)[0]
    summary = json.loads((project / "out" / "summary.json").read_text())
    assert process.returncode == 2
    assert summary["verdict"] == "UNKNOWN"
    assert summary["interrupted"]
    assert summary["counts"]["pass"] > 0
    assert "interrupted" in output


def _until_exists(file, process):
    for _ in range(400):
        if file.exists():
            return
        assert process.poll() is None, "the run ended before its last check began"
        threading.Event().wait(0.05)
    pytest.fail("the last check did not begin in time")


def test_workers_beside_it_are_refused(pytester, project, write_snapshot, readings):
    """One snapshot, one process: -n would read the world once per worker."""
    write_snapshot(readings)
    result = pytester.runpytest_subprocess(
        "-p", "no:locust", "checks", "--snapshot", "snapshot.json", "-n", "2", "--run-dir", "out"
    )
    assert result.ret == 4
    assert "leave out -n" in result.stderr.str()


def test_other_tests_are_not_touched(pytester, project):
    """A run of ordinary tests in the same project wakes nothing: no folder, no fixture, no word, checks passed by."""
    (project / "tests").mkdir()
    (project / "tests" / "test_own.py").write_text(
        "import pytest\ndef test_a(): pass\n@pytest.mark.xfail\ndef test_b(pods): pass\n"
    )
    result = pytester.runpytest_subprocess("--disable-plugin-autoload", "-p", "muster.pytest_plugin", ".")
    result.assert_outcomes(passed=1, xfailed=1)
    assert not (project / "reports").exists()


def test_checks_and_other_tests_in_one_run_are_refused(pytester, project):
    """Mixed, the exit code would mean two things."""
    (project / "tests").mkdir()
    result = pytester.runpytest_subprocess("--disable-plugin-autoload", "-p", "muster.pytest_plugin", "checks", "tests")
    assert result.ret == 4
    assert "is run by itself" in result.stderr.str()


def test_waking_costs_nothing_when_asleep():
    """The plugin's module imports pytest and nothing of Muster but itself."""
    code = "import sys, pytest, muster.pytest_plugin; print([m for m in sys.modules if m.startswith('muster.')])"
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "['muster.pytest_plugin']"
