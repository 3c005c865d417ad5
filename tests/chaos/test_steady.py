"""The steady state of a drill: what users get, without the checks of the chain that the drill itself proves."""

import json

import pytest

from muster.chaos.steady import look
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
    endpoints.write_text(json.dumps(dict.fromkeys(keys, "http://127.0.0.1:1") | {"time_scale": "60"}))
    monkeypatch.setenv("LAB_ENDPOINTS", str(endpoints))
    monkeypatch.chdir(tmp_path)


def test_a_broken_link_of_the_chain_does_not_spoil_the_steady_state(here):
    """The drill must find it by itself, and name it; whoever asks for the chain is told."""
    assert look("x0tta6bl4", "lab").verdict is Verdict.PASS
    whole = look("x0tta6bl4", "lab", chain=True)
    assert (whole.verdict, whole.message) == (Verdict.FAIL, "link.the_responder_answers: nobody hears the webhook")
