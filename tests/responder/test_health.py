"""`/readyz` tells whether the responder could act, `/healthz` whether all is well."""

import asyncio
import re
import socket
import time
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import TestClient, TestServer

from muster.kube import Access, Kube
from muster.release import Monitor
from muster.responder.audit import Audit
from muster.responder.engine import Responder
from muster.responder.lock import LockState
from muster.responder.pulse import Pulse
from muster.responder.server import Server


@pytest.fixture
def ask(system, make_env, tmp_path):
    """``ask(path, prepare)`` -> status and body of a responder whose API is not there."""

    def _ask(path, prepare=lambda _responder: None):
        with socket.socket() as taken:  # bound and not listening: connections are refused as long as it is held
            taken.bind(("127.0.0.1", 0))
            access = Access(f"https://127.0.0.1:{taken.getsockname()[1]}", {}, verify=True)
            env, audit = make_env(), Audit(tmp_path / "audit.jsonl")
            with Kube(access) as kube, Monitor(env) as monitor:
                given = {"system": system, "env": env, "source": env.kubernetes, "kube": kube, "monitor": monitor}
                responder = Responder(**given, audit=audit, me="me")
                prepare(responder)
                answer = asyncio.run(_get(Server(responder, "a-token-of-some-length"), path))
            audit.close()
            return answer

    return _ask


async def _get(server, path):
    async with TestClient(TestServer(server.app())) as client:
        answer = await client.get(path)
        return answer.status, (await answer.json() if "json" in answer.content_type else await answer.text())


def answered(responder):
    """As if the API had answered just now."""
    responder.pulse._answered = responder.pulse._began


@pytest.mark.parametrize(("path", "word"), [("/readyz", "not ready"), ("/healthz", "failing")])
def test_unreachable_api_is_503_with_the_reason(ask, path, word):
    """Nothing listens there: said in the API's own words, and the lock is not known to be held."""
    status, body = ask(path)
    assert status == 503
    assert body["status"] == word
    assert "the Kubernetes API has not been reached" in body["reason"]
    assert body["lock"]["holder"] == ""


def test_api_that_answered_a_moment_ago_is_200(ask):
    """One lost answer is no outage."""
    for path, word in (("/healthz", "ok"), ("/readyz", "ready")):
        status, body = ask(path, answered)
        assert (status, body["status"], body["reason"]) == (200, word, "")


def test_api_that_is_silent_for_long_is_503(ask):
    """With for how long."""

    def _silent(responder):
        responder.pulse._answered = responder.pulse._began - 60

    status, body = ask("/healthz", _silent)
    assert status == 503
    assert re.search(r"has not answered for 6\ds", body["reason"])  # a busy machine asks some seconds later


def test_page_that_was_not_delivered_is_503(ask):
    """A failed rollback of which nobody knows is the worst of all."""

    def _unheard(responder):
        answered(responder)
        responder.escalation.page("Down", "k", "it changed nothing")

    status, body = ask("/healthz", _unheard)
    assert status == 503
    assert "nobody was paged" in body["reason"]


def test_page_that_was_not_delivered_takes_no_alerts_from_it(ask):
    """It is ready all the same: out of its Service, it would roll back no later release either."""

    def _unheard(responder):
        answered(responder)
        responder.escalation.page("Down", "k", "it changed nothing")
        assert responder.escalation.pending

    status, body = ask("/readyz", _unheard)
    assert (status, body["status"], body["reason"]) == (200, "ready", "")


def test_audit_that_cannot_be_written_is_503(ask):
    """Then webhooks are refused, too."""

    def _full(responder):
        answered(responder)
        responder.audit.ailment = "the audit file x cannot be written: no space"

    for path in ("/healthz", "/readyz"):
        status, body = ask(path, _full)
        assert status == 503
        assert "cannot be written" in body["reason"]


def test_metrics_need_no_api(ask):
    """They say that it is silent."""
    status, text = ask("/metrics")
    assert status == 200
    assert "muster_responder_api_silent_seconds" in text


def test_lock_is_free_when_a_look_that_began_later_saw_nobody():
    """An answer to an older question may be from before it was taken."""
    seen = LockState(holder="", intent=None, lease=None)
    pulse = Pulse(SimpleNamespace(read=lambda: seen))
    assert not pulse.free_since(0.0)
    pulse.take()
    assert pulse.free_since(0.0)
    assert not pulse.free_since(time.monotonic())
    seen = LockState(holder="other", intent=None, lease=None)
    pulse.take()
    assert not pulse.free_since(0.0)
