"""The logs hold no burst of what the runbook greps for."""

from muster.judge import logs as judge
from muster.pytest_plugin import runbook


@runbook("x0tta6bl4#high-error-rate", step=2)
def test_no_burst_of_errors_in_the_logs(logs, facts):
    judge.assert_no_burst(logs, facts.logs, "errors")


@runbook("x0tta6bl4#pqc-handshake-failure", step=5)
def test_no_burst_of_pqc_lines_in_the_logs(logs, facts):
    judge.assert_no_burst(logs, facts.logs, "pqc")


@runbook("x0tta6bl4#pqc-fallback", step=3)
def test_no_security_line_in_the_logs(logs, facts):
    judge.assert_no_burst(logs, facts.logs, "security")


@runbook("x0tta6bl4#high-cpu-usage", step=2)
def test_no_burst_of_loops_in_the_logs(logs, facts):
    judge.assert_no_burst(logs, facts.logs, "loops")
