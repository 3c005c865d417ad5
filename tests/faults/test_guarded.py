"""Faults that are seen by asking a source which wants a token."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from muster.errors import UsageError
from muster.faults import ingress_backend, outage
from muster.faults.ledger import Ledger
from muster.system import Environment
from muster.wait import TimedOut

TOKEN = "let-me-in"  # noqa: S105 - of this test's own server
GIVEN = {"system": "s", "environment": "live", "server": "y", "namespace": "x", "target": "t"}


@pytest.fixture
def served():
    """A server that wants a bearer token, and answers ``served["status"]`` to whoever has it."""
    said = {"status": 204}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            self.send_response(said["status"] if known else 401)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    said["url"] = f"http://127.0.0.1:{server.server_port}"
    yield said
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def env(served, tmp_path, monkeypatch):
    for module in (ingress_backend, outage):  # this very process answers, and may stand still
        monkeypatch.setattr(module, "ASK_S", 30.0)
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    files = {"http": str(token), "prometheus": str(token)}
    given = {"http": served["url"], "prometheus": served["url"], "token_files": files}
    return Environment.model_validate({"name": "live", "description": "", **given})


def without_token(env):
    return env.model_copy(update={"token_files": {}})


def test_users_are_asked_for_with_their_token(served, env):
    """What they get before the fault is what healing waits for; a 401 says nothing of the way in."""
    assert ingress_backend._serving(env, "/any") == 204
    with pytest.raises(UsageError, match="answers 401, so closing the way in would prove nothing"):
        ingress_backend._serving(without_token(env), "/any")
    served["status"] = 503
    with pytest.raises(UsageError, match="answers 503"):
        ingress_backend._serving(env, "/any")


def test_only_a_lost_way_in_confirms_and_only_the_same_answer_as_before_heals(served, env, tmp_path):
    """A refused token is neither."""
    entry = Ledger(tmp_path).open("ingress_backend", **GIVEN, undo={"path": "/any", "status": 204})
    ingress_backend._await_answer(env, entry, "healed", 30, served=True)
    for served_now in (True, False):
        with pytest.raises(TimedOut, match="answered 401"):
            ingress_backend._await_answer(without_token(env), entry, "it", 0.3, served=served_now)
    served["status"] = 503
    ingress_backend._await_answer(env, entry, "confirmed", 30, served=False)


def test_a_guarded_prometheus_is_there_and_a_refused_token_does_not_take_it_away(served, env):
    """Else an outage of it could not begin, or would be confirmed by a token that has run out."""
    assert outage._answers(env, "prometheus")
    assert outage._status(without_token(env), "prometheus") == 401
    unreadable = env.model_copy(update={"token_files": {"prometheus": "/no/such/file"}})
    assert not outage._stands(unreadable, "prometheus")  # and so it is started
