"""Every mistake in a system's file is one sentence with its place and what was expected."""

import subprocess
import sys
import time

import pytest

from muster.errors import UsageError
from muster.system import load_environment, load_system


def test_an_unknown_system_offers_the_known_ones(small):
    """A typo in the name is answered with the nearest name."""
    with pytest.raises(UsageError, match=r"there is no system 'smal': did you mean 'small'\? known: small"):
        load_system("smal", small())


def test_a_name_cannot_leave_the_folder(small):
    """A system is chosen by name: a path is only another unknown name."""
    small()
    with pytest.raises(UsageError, match="there is no system"):
        load_system("../systems/small")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "critical: {above: 5%,", "critical: {above: 5,",
            "systems/small.yaml:14: slo.errors.critical.above: 5 is not a quantity in ratio; write it like 5%",
        ),
        (
            "critical: {above: 5%,", "critical: {above: 5GB,",
            "systems/small.yaml:14: slo.errors.critical.above: '5GB' is not a quantity in ratio; write it like 5%",
        ),
        (
            "critical: {above: 5%,", "critical: {above: 5%, below: 1%,",
            "systems/small.yaml:14: slo.errors.critical: needs exactly one of 'above' and 'below'",
        ),
        (
            "unit: ratio", "unit: percent",
            "systems/small.yaml:11: slo.errors.unit: found 'percent', expected 'ratio', 'seconds', 'bytes', ",
        ),
        (
            "tell: [on-call]\n    runbook", "tell: [cto]\n    runbook",
            "systems/small.yaml:21: alerts.TooManyErrors.tell: 'cto' is not one of contacts; known: on-call",
        ),
        (
            "slo: errors", "slo: error",
            "systems/small.yaml:18: alerts.TooManyErrors.slo: there is no slo 'error'; did you mean 'errors'? known: ",
        ),
        (
            "level: critical", "level: rollback",
            "systems/small.yaml:19: alerts.TooManyErrors.level: slo 'errors' has no level 'rollback'",
        ),
        (
            "    severity: critical\n", "    severty: critical\n",
            "systems/small.yaml:20: alerts.TooManyErrors.severty: unknown key; did you mean 'severity'? known: ",
        ),
        (
            "severity: critical", "severity: loud",
            "systems/small.yaml:20: alerts.TooManyErrors.severity: found 'loud', expected 'critical', ",
        ),
        (
            "    title: Errors\n", "    title: Errors\n    windw: 5m\n",
            "systems/small.yaml:11: slo.errors.windw: unknown key; did you mean 'window'? known: ",
        ),
        (
            "    title: Errors\n", "    title: Errors\n    window: 5\n",
            "systems/small.yaml:11: slo.errors.window: 5 is not a quantity in seconds; write it like 200ms or 5m",
        ),
        (
            "    title: Errors\n", "    title: Errors\n    title: Again\n",
            "systems/small.yaml:11: slo.errors.title: written twice, expected once",
        ),
        (
            "runbook: guide#silence", "runbook: book#silence",
            "systems/small.yaml:28: no_data.runbook: there is no runbook 'book'",
        ),
        (
            "    source: guide\nno_data", "no_data",
            "systems/small.yaml:16: alerts.TooManyErrors.source: found nothing, expected this key",
        ),
        (
            "name: small", "name: large",
            "systems/small.yaml:2: name: found 'large', expected 'small', as the file is called",
        ),
        (
            "    critical: {above: 5%,", "    warning: {above: 6%, source: guide}\n    critical: {above: 5%,",
            "systems/small.yaml:15: slo.errors.critical: expected it at > 6% (warning) or beyond",
        ),
        (
            "sum(rate(e[{window}]))", "sum(rate(e{{selector}}[{window}]))",
            "systems/small.yaml:9: slo.errors.series: the query reads e, whose absence shows only when it is listed",
        ),
        (
            "slo:\n", "owner: nobody\nslo:\n",
            "systems/small.yaml:8: owner: 'nobody' is not one of contacts; known: on-call",
        ),
        (
            "slo:\n", "escalation:\n  - {of: critcal, after: 15m, to: on-call, source: guide}\nslo:\n",
            "systems/small.yaml:9: escalation.0.of: there is no severity, SEV or alert 'critcal'; did you mean ",
        ),
        (
            "slo:\n", "escalation:\n  - {of: critical, after: 15, to: on-call, source: guide}\nslo:\n",
            "systems/small.yaml:9: escalation.0.after: 15 is not a quantity in seconds; write it like 200ms or 5m",
        ),
        (
            "slo:\n", "dashboards:\n  - {uid: x, title: X, slo: [eror], source: guide}\nslo:\n",
            "systems/small.yaml:9: dashboards.0.slo: there is no slo 'eror'; did you mean 'errors'?",
        ),
        (
            "slo:\n",
            "logs:\n  window: 5m\n  bursts: [{name: x, pattern: (, most: 9, runbook: guide#x, source: guide}]\nslo:\n",
            "systems/small.yaml:10: logs.bursts.0.pattern: '(' is not a regular expression: ",
        ),
        (
            "slo:\n", "certificates: {folder: /c, warn_before: 1d, fail_before: 2d, source: guide}\nslo:\n",
            "systems/small.yaml:8: certificates.fail_before: expected a warning earlier than the failure",
        ),
        (
            "slo:\n", "pods: {restart_window: 9m, most_restarts: 3,scale_to: 9, scale_up_to: 7, source: guide}\nslo:\n",
            "systems/small.yaml:8: pods.scale_to: expected least_replicas <= scale_to <= scale_up_to",
        ),
        (
            "slo:\n", "  responder: {title: Who answers}\nslo:\n",
            "systems/small.yaml:8: contacts.responder: found 'responder', expected letters, digits, spaces, '_', ",
        ),
        (
            "slo:\n", "  on,call: {title: Two words}\nslo:\n",
            "systems/small.yaml:8: contacts.on,call: found 'on,call', expected letters",
        ),
        ("slo:\n", "slo: [\n", "systems/small.yaml:"),
        ("title: A small system", "title: &x *y", "systems/small.yaml:3: not YAML: "),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_key_and_what_was_expected(small, old, new, expected):
    """One sentence: where it stands, what was found, what was expected."""
    with pytest.raises(UsageError) as caught:
        load_system("small", small((old, new)))
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_sources_must_name_a_declared_document(small):
    """A source that begins with no declared document is a typo, and that is how facts lose their origin."""
    root = small(("runbooks:\n", "documents:\n  guide: {title: G, version: '1', date: '2026-01-01'}\nrunbooks:\n"))
    assert load_system("small", root).documents["guide"].version == "1"
    root = small(
        ("runbooks:\n", "documents:\n  guide: {title: G, version: '1', date: '2026-01-01'}\nrunbooks:\n"),
        ("critical: {above: 5%, source: guide}", "critical: {above: 5%, source: gude / errors}"),
    )
    with pytest.raises(UsageError, match=r"slo.errors.critical.source: 'gude / errors' does not begin with one of the"):
        load_system("small", root)


KEY = "tr0ub4dor-and-3"


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (f"token: {KEY}", "environments.own.token"),
        (f"contacts: {{on-call: {{kind: webhook, url: 'http://h', password: {KEY}}}}}", "contacts.on-call.password"),
        (
            f"contacts: {{on-call: {{kind: pagerduty, url: 'http://h', routing_key: {KEY}}}}}",
            "contacts.on-call.routing_key",
        ),
        (f"alertmanager: https://muster:{KEY}@alerts.example", "environments.own.alertmanager"),
        (f"http: 'http://${{X_USER:-me}}:{KEY}@example/'", "environments.own.http"),
        (f"responder: '-----BEGIN PRIVATE KEY-----{KEY}'", "environments.own.responder"),
        (
            f"contacts: {{on-call: {{kind: slack, to: '#x', secret_file: 'https://hooks.slack.com/services/{KEY}'}}}}",
            "contacts.on-call.secret_file",
        ),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(small, line, place):
    """Whatever environment is asked for: the file is committed with all of them."""
    root = small(("    description: Somewhere else\n", f"    description: Somewhere else\n    {line}\n"))
    with pytest.raises(UsageError) as caught:
        load_system("small", root)
    said = str(caught.value)
    assert said.startswith("systems/small.yaml:")
    assert place in said
    assert "must not stand in" in said
    assert KEY not in said


def test_users_way_in_holds_no_user_even_from_a_variable(small, monkeypatch):
    """Its address stands in plans and on Locust's command line."""
    monkeypatch.setenv("SMALL_HTTP", f"https://me:{KEY}@example/api")
    root = small(("    description: Somewhere else\n", "    description: Somewhere else\n    http: ${SMALL_HTTP}\n"))
    with pytest.raises(UsageError, match=r"http: user and password must not stand in this address") as caught:
        load_environment(load_system("small", root), "own")
    assert KEY not in str(caught.value)
    monkeypatch.setenv("SMALL_HTTP", "https://example/~me@home")
    assert load_environment(load_system("small", root), "own").http == "https://example/~me@home"


@pytest.mark.parametrize(
    "line",
    [
        "responder_token_file: /run/secrets/token",
        "alertmanager: https://muster:${ALERTS_PASSWORD:-}@alerts.example",
        "prometheus: http://[::1]:9090",
    ],
)
def test_files_and_variables_may_be_named(small, line):
    """What is read from elsewhere when it is needed is no part of the file."""
    old = "    prometheus: ${SMALL_PROMETHEUS:-http://127.0.0.1:9090}\n"
    system = load_system("small", small((old, f"    {line}\n")))
    assert load_environment(system, "own")


@pytest.mark.parametrize("content", [b"", b"- a\n", b"\xff\xfe\x00", b"text"])
def test_a_file_that_is_no_mapping_is_said_so(tmp_path, content):
    """An empty, foreign or binary file ends in a sentence, not in a traceback."""
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "odd.yaml").write_bytes(content)
    with pytest.raises(UsageError, match=r"odd\.yaml"):
        load_system("odd", tmp_path)


def test_facts_cannot_be_changed(small):
    """What was validated stays as it was."""
    system = load_system("small", small())
    with pytest.raises(ValueError, match="frozen"):
        system.title = "other"


def test_the_working_folder_comes_before_the_checkout(small):
    """A user's own systems are found where the user stands; Muster's own stay known."""
    small()
    assert load_system("small").title == "A small system"
    assert load_system("x0tta6bl4").name == "x0tta6bl4"


def test_loading_is_quick():
    """Start-up is a feature: reading and validating the facts costs far less than importing pydantic."""
    code = (
        "import time; from muster.system import load_system as f\n"
        "f('x0tta6bl4'); t = time.process_time(); f('x0tta6bl4'); print(time.process_time() - t)"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 0.15
    assert time.monotonic() - started < 30
