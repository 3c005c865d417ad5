"""What the responder does when the cluster cannot be read."""

import socket

import pytest

from muster.kube import Access, Kube
from muster.release import Monitor
from muster.responder import engine
from muster.responder.audit import Audit
from muster.responder.engine import Responder


@pytest.fixture
def responder(system, make_env, tmp_path):
    """One whose API server's port is closed."""
    with socket.socket() as taken:  # bound and not listening: connections are refused as long as it is held
        taken.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{taken.getsockname()[1]}"
        env, audit = make_env(), Audit(tmp_path / "audit.jsonl")
        with Kube(Access(server, {}, verify=True)) as kube, Monitor(env) as monitor:
            yield Responder(
                system=system, env=env, source=env.kubernetes, kube=kube, monitor=monitor, audit=audit, me="me"
            )
        audit.close()


def test_unreadable_api_is_refused_as_unknown_after_bounded_retries(responder, alert, monkeypatch):
    """No rollback without knowing what is there; the alert stays open, and the reason is the API's."""
    monkeypatch.setattr(engine, "_RETRIES_S", (0.01, 0.01))
    assert responder.handle(alert()) is False
    (record,) = responder.audit.since(0)
    assert (record["data"]["decision"], record["data"]["verdict"]) == ("refuse", "UNKNOWN")
    assert "Connection refused" in record["message"]


def test_misdirected_alert_is_decided_without_the_api(responder, alert):
    """It would not matter what is there."""
    assert responder.handle(alert(environment="production")) is True
    assert responder.audit.since(0)[0]["data"]["refusal"] == "misdirected"


def test_stop_ends_the_retries(responder, alert):
    """A responder that is told to stop does not wait for the API."""
    responder.stop.set()
    assert responder.handle(alert()) is False
