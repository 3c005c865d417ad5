"""What the responder does when the cluster cannot be read."""

import socket
from types import SimpleNamespace

import pytest

from muster.errors import Unknown
from muster.kube import Access, Kube, KubeError
from muster.release import Monitor, symptom
from muster.responder import engine
from muster.responder.audit import Audit
from muster.responder.engine import Responder
from muster.responder.lock import LockState


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


@pytest.fixture
def seeing(system, make_env, tmp_path, prometheus, monkeypatch):
    """One whose lock is free, with that Prometheus; each look at the workload is counted and cannot be judged."""
    monkeypatch.setattr(engine, "_RETRIES_S", ())
    monkeypatch.setattr(symptom, "_ASK_S", 30.0)  # this very process answers, and may stand still
    canary = {"ingress": "next", "deployment": "next", "metric_selector": 'app="next"'}
    env = make_env(prometheus=prometheus.url, metric_selector='app="web"', rollback={"canary": canary})
    audit, looks = Audit(tmp_path / "audit.jsonl"), []

    def _look():
        looks.append(1)
        raise Unknown("not settled")

    with Monitor(env) as monitor:
        given = {"system": system, "env": env, "source": env.kubernetes, "monitor": monitor, "audit": audit}
        responder = Responder(**given, kube=SimpleNamespace(get=_no_events, post=_no_events), me="me")
        monkeypatch.setattr(responder._lock, "read", lambda: LockState(holder="", intent=None, lease=None))
        for way in responder._strategies.values():
            monkeypatch.setattr(way, "look", _look)
        responder.looks = looks
        yield responder
    audit.close()


def _no_events(*_):
    raise KubeError("no events here", status=403)


def refusals(responder):
    return [record["data"]["refusal"] for record in responder.audit.since(0)]


def test_what_nobody_asks_for_any_more_is_not_done(seeing, alert, prometheus):
    """A restart took it up, and the alert's own condition does not hold: refused, and open for the next repetition."""
    assert seeing.handle(alert(), late=True) is False
    assert (refusals(seeing), len(seeing.looks)) == (["symptom gone"], 0)
    assert "error_ratio is 0% now, no longer > 10%" in seeing.audit.since(0)[0]["message"]
    assert seeing.left_open(alert()) is None


@pytest.mark.parametrize("value", [0.3, None])
def test_what_still_holds_or_cannot_be_known_is_decided_as_ever(seeing, alert, prometheus, value):
    """The trigger was explicit, and nothing speaks against it."""
    prometheus.value = value
    seeing.handle(alert(), late=True)
    assert (refusals(seeing), len(seeing.looks)) == (["unknown"], 1)


def test_an_alert_that_fires_now_is_believed(seeing, alert, prometheus):
    """Prometheus has just said so by way of Alertmanager."""
    seeing.handle(alert())
    assert (prometheus.asked, len(seeing.looks)) == ([], 1)


def test_an_old_alert_of_the_canary_is_held_against_the_canary(seeing, alert, prometheus):
    """Its own series: the stable release is well anyway."""
    seeing.handle(alert(release="canary"), late=True)
    assert "next" in prometheus.asked[0]
    assert "web" not in prometheus.asked[0]


def test_an_occurrence_that_was_acted_on_is_not_acted_on_again(seeing, alert):
    """A crash kept its decision off the record until it was resumed; a look at it afterwards finds it there."""
    seeing._journal.decided(alert(), "roll back", "as another run decided", final=True)
    assert seeing.handle(alert()) is True
    assert seeing.looks == []


def test_what_is_looked_at_again_is_told_once_with_its_end(seeing, alert, monkeypatch):
    """To whoever looks again, and to the audit for whoever comes after a crash."""
    monkeypatch.setattr(seeing, "_under_way", True)
    with seeing._mutex:
        assert seeing.handle(alert()) is False
    (record,) = seeing.audit.since(0)
    no = seeing.left_open(alert())
    assert (no.name, no.ends_at) == ("under way", record["data"]["again_at"])
    assert no.ends_at > record["at"] + seeing.env.rollback.timeout_s - 1
    assert seeing.left_open(alert()) is None
