"""What experiments of one session share, and how one waits for the responder."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from muster.chaos import shared
from muster.chaos.actions.common import tell_injected
from muster.chaos.cooldown import wait_until_ready
from muster.chaos.probes import steady
from muster.chaos.steady import Look
from muster.timeline import Kind
from muster.verdict import Verdict


@pytest.fixture
def look():
    return Look(at=time.time(), verdict=Verdict.PASS, message="34 checks held", judged=34)


def test_a_look_serves_once_more_until_something_is_broken(tmp_path, look, story):
    """The next experiment begins with it, at the instant when it was true; a fault ends that."""
    with shared.session(tmp_path):
        shared.remember(look)
        assert steady(configuration={"system": "x0tta6bl4", "environment": "staging"})
        (told,) = story.timeline().of(Kind.STEADY)
        assert (told.at, told.message) == (look.at, "34 checks held")
        tell_injected(SimpleNamespace(injected_at=time.time(), id="a-fault"), "released")
        assert shared.remembered() is None


def test_an_old_look_says_nothing_about_now(tmp_path, look):
    """After ten seconds it is forgotten."""
    with shared.session(tmp_path):
        shared.remember(replace(look, at=look.at - shared.FRESH_S - 1))
        assert shared.remembered() is None


def test_outside_a_session_nothing_is_shared(look):
    """A plain `chaos run` looks for itself."""
    shared.remember(look)
    assert shared.remembered() is None
    assert shared.current() is None


@pytest.fixture
def env():
    """An environment whose cool-down is three seconds at its scale."""

    def make(url):
        rollback = SimpleNamespace(cool_down_s=180.0)
        address = dict.fromkeys(("http", "prometheus", "alertmanager", "inbox"), "") | {"responder": url}
        return SimpleNamespace(rollback=rollback, audit_token_file="", scaled=lambda s: s / 60.0, **address)

    return make


def test_the_end_of_the_cool_down_is_waited_for(serve, story, env):
    """By the responder's own audit, counted from its last decision to roll back; the wait is told."""
    decided = []

    def audit(_query):  # decided when somebody first asks: what the machine takes to get there is not of the cool-down
        if not decided:
            decided.append({"at": time.time(), "kind": "decided", "data": {"decision": "roll back"}})
        return {"records": decided}

    wait_until_ready(env(serve({"/audit": audit}).url), story)
    assert 3.0 <= time.time() - decided[0]["at"] < 60.0  # three minutes are only at another scale
    (note,) = story.timeline().of(Kind.NOTE)
    assert "cools down for another" in note.message


@pytest.mark.parametrize("decision", ["refuse", "propose"])
def test_a_responder_that_rolled_nothing_back_is_not_waited_for(serve, story, env, decision):
    """Nor is one that does not answer: whether it is there is for the experiment to show."""
    responder = serve({"/audit": {"records": [{"at": time.time(), "kind": "decided", "data": {"decision": decision}}]}})
    wait_until_ready(env(responder.url), story)
    responder.stop()
    wait_until_ready(env(responder.url), story)
    wait_until_ready(env(""), story)
    assert not list(story.timeline().of(Kind.NOTE))
