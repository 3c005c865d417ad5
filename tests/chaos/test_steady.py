"""The steady state of a drill: what users get, without the checks of the chain that the drill itself proves."""

import json
from pathlib import Path

import pytest

from muster.chaos.steady import look
from muster.chaos.steady import standby as processes
from muster.system import load_system
from muster.verdict import Verdict

CHECKS = """
from muster.pytest_plugin import chain, runbook

@chain
@runbook("x0tta6bl4#rollback")
def test_the_responder_answers(facts):
    raise AssertionError("nobody hears the webhook")

@runbook("x0tta6bl4#service-down")
def test_users_are_served(facts):
    assert facts.slo
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two checks that read nothing, and a lab that is only described."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "test_link.py").write_text(CHECKS)
    text = json.dumps(load_system("x0tta6bl4").environments["lab"])
    keys = {part.partition("}")[0] for part in text.split("${") if part[0].islower()}
    endpoints = tmp_path / "endpoints.json"
    endpoints.write_text(
        json.dumps(dict.fromkeys(keys, "http://127.0.0.1:1") | {"time_scale": "60", "discovery": "7s"})
    )
    monkeypatch.setenv("LAB_ENDPOINTS", str(endpoints))
    monkeypatch.chdir(tmp_path)


def test_a_broken_link_of_the_chain_does_not_spoil_the_steady_state(here):
    """The drill must find it by itself, and name it; whoever asks for the chain is told."""
    assert look("x0tta6bl4", "lab").verdict is Verdict.PASS
    whole = look("x0tta6bl4", "lab", chain=True)
    assert (whole.verdict, whole.message) == (Verdict.FAIL, "link.the_responder_answers: nobody hears the webhook")


SKIPPING = """
from muster.judge.undeclared import Undeclared
from muster.pytest_plugin import runbook

@runbook("x0tta6bl4#service-down")
def test_what_nobody_claims(facts):
    raise Undeclared("the system's facts do not say so")
"""


def test_a_check_that_was_skipped_did_not_hold(here, tmp_path):
    """It is counted nowhere: neither in the sentence nor among those that gave a verdict; alone it proves nothing."""
    (tmp_path / "checks" / "test_skip.py").write_text(SKIPPING)
    whole = look("x0tta6bl4", "lab")
    assert (whole.verdict, whole.judged, whole.message) == (Verdict.PASS, 1, "1 checks held")
    assert whole.names == {"link.users_are_served"}
    alone = look("x0tta6bl4", "lab", "claims")
    assert (alone.verdict, alone.judged, alone.message) == (Verdict.UNKNOWN, 0, "not one check judged anything")


class Dead:
    """A process that ends with this code and writes nothing but what it is told to."""

    def __init__(self, code, summary=None):
        self.code, self.summary = code, summary

    def run(self, argv, environ, *, timeout_s):
        if self.summary is not None:
            (Path(environ["MUSTER_RUN"]) / "summary.json").write_text(json.dumps(self.summary))
        return self.code, "killed"


HEALTHY = {"verdict": "PASS", "findings": [{"check": "a.b", "verdict": "PASS", "message": "well"}]}


@pytest.mark.parametrize(
    ("code", "written", "words"),
    [
        (0, None, "gave no verdict"),  # what an earlier look left is no answer to this one
        (3, None, "gave no verdict"),
        (3, HEALTHY, "exit code 3: neither is believed"),
        (-9, HEALTHY, "exit code -9"),
        (0, {**HEALTHY, "verdict": "FAIL"}, "exit code 0"),
    ],
)
def test_only_a_verdict_of_this_look_that_its_exit_code_bears_out_counts(
    here, tmp_path, monkeypatch, code, written, words
):
    """A stale one, or one beside a crash, is UNKNOWN."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "summary.json").write_text(json.dumps(HEALTHY))
    monkeypatch.setattr(processes, "take", lambda: Dead(code, written))
    monkeypatch.setattr(processes, "give_back", lambda _: None)
    seen = look("x0tta6bl4", "lab", folder=run)
    assert seen.verdict is Verdict.UNKNOWN
    assert words in seen.message


def test_a_look_whose_exit_code_fits_is_believed(here, tmp_path, monkeypatch):
    """The control of the case above."""
    monkeypatch.setattr(processes, "take", lambda: Dead(0, HEALTHY))
    monkeypatch.setattr(processes, "give_back", lambda _: None)
    assert look("x0tta6bl4", "lab", folder=tmp_path).verdict is Verdict.PASS
