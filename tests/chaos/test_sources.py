"""The watchers against servers that answer as Prometheus, Alertmanager, the pager and the responder do."""

from __future__ import annotations

import time

import pytest

from muster.chaos.records import Audit, Inbox
from muster.chaos.sources import Alerts, Routing, watchers, whose
from muster.errors import Unknown
from muster.judge.link import source
from muster.judge.objectives import Objectives
from muster.judge.silence import open_alerts, unsettled
from muster.system import Environment, load_system
from muster.timeline import Kind
from muster.wait import wait_until

T0 = 1_700_000_000.0
LAB = Environment(name="lab", description="here")
FACTS = load_system("x0tta6bl4")
OURS = whose(FACTS, LAB)
QUIET = Objectives.model_validate({"must_not": ["page"]})


def alert(name, state, *, at="2023-11-14T22:13:21.123456789Z", system="x0tta6bl4"):
    return {"labels": {"alertname": name, "system": system}, "state": state, "activeAt": at}


def alerts(*found):
    return {"data": {"alerts": list(found)}}


def kinds(story):
    return [event.kind for event in story.timeline().events]


def note_of(story, name):
    return source(story.timeline(), name)


@pytest.fixture
def prometheus(serve):
    """Prometheus without alerts whose ALERTS fired at T0 + 6."""
    fired = {"data": {"result": [{"metric": {}, "values": [[T0 + 6.0, "1"], [T0 + 6.25, "1"]]}]}}
    return serve({"/api/v1/alerts": alerts(), "/api/v1/query": fired})


def test_alerts_are_pending_when_prometheus_says_so_and_fire_when_it_evaluated(prometheus, story):
    """The first by activeAt, the second by the ALERTS series: not by when we looked."""
    watcher = Alerts(story, prometheus.url, since=T0, ours=OURS)
    prometheus.answers["/api/v1/alerts"] = alerts(alert("A", "pending"))
    watcher.look()
    prometheus.answers["/api/v1/alerts"] = alerts(alert("A", "firing"))
    watcher.look()
    watcher.look()
    prometheus.answers["/api/v1/alerts"] = alerts()
    watcher.look()
    watcher.close()
    pending, firing, resolved = story.timeline().events
    assert (pending.kind, pending.at) == (Kind.ALERT_PENDING, pytest.approx(T0 + 1.123456))
    assert (firing.kind, firing.at) == (Kind.ALERT_FIRING, T0 + 6.0)
    assert resolved.kind is Kind.ALERT_RESOLVED


def test_alerts_of_other_environments_are_not_this_drills(prometheus, story):
    """Production's alert is no detection of what was broken here, whoever shares the Prometheus."""
    watcher = Alerts(story, prometheus.url, since=T0, ours=OURS)
    theirs = alert("A", "firing")
    theirs["labels"]["environment"] = "production"
    prometheus.answers["/api/v1/alerts"] = alerts(theirs)
    watcher.look()
    assert kinds(story) == []


def test_a_prometheus_that_wants_a_token_is_given_it_anew_at_each_look(prometheus, story, tmp_path):
    """The environment's file is read each time; one that is gone is said, and is no silence."""
    file = tmp_path / "token"
    env = Environment(description="here", prometheus=prometheus.url, token_files={"prometheus": str(file)})
    (watcher,) = watchers(story, FACTS, env, since=T0, load=None, kube=None)
    for token in ("first", "renewed"):
        file.write_text(token)
        watcher.look()
        assert prometheus.headers["Authorization"] == f"Bearer {token}"
    file.unlink()
    with pytest.raises(Unknown, match="cannot be read"):
        watcher.look()


def test_alerts_of_other_systems_are_not_this_drills(prometheus, story):
    """A shared Prometheus fires for others too."""
    watcher = Alerts(story, prometheus.url, since=T0, ours=OURS)
    prometheus.answers["/api/v1/alerts"] = alerts(alert("A", "firing", system="other"))
    watcher.look()
    watcher.close()
    assert kinds(story) == []


@pytest.mark.parametrize("rollback", [{}, {"take_unlabelled": True}], ids=["shared", "nobody else's"])
def test_an_alert_without_labels_of_its_place_is_ours_only_by_name_or_by_the_environments_word(rollback):
    """Watchdog fires on every cluster all the time; the runbooks' own rules may have been written by hand."""
    ours = whose(FACTS, Environment(name="lab", description="here", rollback=rollback))
    assert ours({"alertname": "Watchdog", "severity": "none"}) is bool(rollback)
    assert ours({"alertname": "X0TTA6BL4HighCPUUsage"})
    assert not ours({"alertname": "X0TTA6BL4HighCPUUsage", "environment": "production"})
    assert ours({"alertname": "Anything", "system": "x0tta6bl4"})


def test_what_fired_before_the_fault_does_not_hide_the_same_alert_of_another_series(prometheus, story):
    """By all labels: one pod's alert fires since before the fault, another's begins after it, and that one is told."""

    def of(pod, state):
        found = alert("A", state, at="2023-11-14T22:13:21Z")
        found["labels"]["pod"] = pod
        return found

    watcher = Alerts(story, prometheus.url, since=T0, ours=OURS)
    prometheus.answers["/api/v1/alerts"] = alerts(of("old", "firing"))
    watcher.look()
    story.tell(Kind.FAULT_INJECTED, source="test")
    begun = time.time()
    watcher.look()
    assert unsettled(story.timeline(), QUIET) == []
    prometheus.answers["/api/v1/alerts"] = alerts(of("old", "firing"), of("new", "firing"))
    watcher.look()
    watcher.look()
    fired = [event for event in story.timeline().of(Kind.ALERT_FIRING) if event.at >= begun]
    assert [event.data["labels"]["pod"] for event in fired] == ["new"]
    assert unsettled(story.timeline(), QUIET) == ["A was still firing"]
    prometheus.answers["/api/v1/alerts"] = alerts()
    watcher.look()
    watcher.close()
    assert unsettled(story.timeline(), QUIET) == []


def test_what_blinks_beside_a_series_that_fires_since_before_is_over_when_it_is(prometheus, story):
    """Any rollout makes some alert pending for a moment; the older series of the same alert keeps nothing open."""
    old, new = alert("A", "firing"), alert("A", "pending")
    new["labels"]["pod"] = "new"
    watcher = Alerts(story, prometheus.url, since=T0, ours=OURS)
    prometheus.answers["/api/v1/alerts"] = alerts(old)
    watcher.look()
    story.tell(Kind.FAULT_INJECTED, source="test")
    prometheus.answers["/api/v1/alerts"] = alerts(old, new)
    watcher.look()
    prometheus.answers["/api/v1/alerts"] = alerts(old)
    watcher.look()
    watcher.close()
    assert open_alerts(story.timeline()) == {}


def test_the_first_scrape_of_each_bad_pod_is_told(prometheus, story):
    """Prometheus says when it first reached a pod; failed scrapes do not count."""
    story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=T0, pods=["a", "b"])
    watcher = Alerts(story, prometheus.url, since=T0, ours=OURS)
    up = [
        {"metric": {"pod": "a"}, "values": [[T0 + 1, "0"], [T0 + 2, "1"], [T0 + 3, "1"]]},
        {"metric": {"pod": "b"}, "values": [[T0 + 4, "0"]]},
    ]
    prometheus.answers["/api/v1/query"] = {"data": {"result": up}}
    watcher.close()
    (seen,) = story.timeline().of(Kind.FAULT_VISIBLE)
    assert (seen.at, seen.data["pod"]) == (T0 + 2, "a")


def test_pods_of_a_bad_release_that_became_ready_after_it_was_in_force_count_too(prometheus, story):
    """One of those may be what the alert saw first; pods of another release are not asked for."""
    story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=T0, pods=["bad-a"], hash="bad")
    for pod, release in (("bad-b", "bad"), ("good-c", "good")):
        story.tell(Kind.POD_READY, source="kubernetes", at=T0 + 1, pod=pod, hash=release)
    watcher = Alerts(story, prometheus.url, since=T0, ours=OURS)
    asked = []

    def up(query):
        asked.append(query["query"])
        return {"data": {"result": [{"metric": {"pod": "bad-b"}, "values": [[T0 + 2, "1"]]}]}}

    prometheus.answers["/api/v1/query"] = up
    watcher.close()
    (seen,) = story.timeline().of(Kind.FAULT_VISIBLE)
    assert (seen.at, seen.data["pod"]) == (T0 + 2, "bad-b")
    assert 'pod=~"bad-a|bad-b"' in asked[-1]


def test_pages_are_told_once_and_stamped_by_the_pager(serve, story):
    """Each trigger once, though it is read again; resolves and earlier messages are no pages."""
    message = {"received_at": T0 + 6.1, "channel": "pagerduty", "to": "on-call", "alert": "A", "summary": "s"}
    sink = serve(
        {
            "/inbox": {
                "messages": [
                    message | {"action": "trigger"},
                    message | {"action": "resolve", "received_at": T0 + 9},
                    message | {"action": "trigger", "received_at": T0 - 5},
                ]
            }
        }
    )
    watcher = Inbox(story, sink.url, since=T0)
    watcher.look()
    watcher.look()
    watcher.close()
    (page,) = story.timeline().events
    assert (page.at, page.data["contact"], page.data["alert"]) == (T0 + 6.1, "on-call", "A")


def test_the_audit_is_read_with_the_token_and_told_in_its_own_kinds(serve, story, tmp_path):
    """Bearer token from its file; kinds that are not ours become notes; nothing is told twice."""
    (tmp_path / "token").write_text("s3cret\n")
    records = [
        {"at": T0 + 6, "kind": "webhook.received", "alert": "A", "message": "", "data": {"alert": "A", "kind": "x"}},
        {"at": T0 + 7, "kind": "something.new", "alert": "A", "message": "hello"},
    ]
    responder = serve({"/audit": {"records": records}})
    watcher = Audit(story, responder.url, token_file=str(tmp_path / "token"), since=T0)
    watcher.look()
    watcher.look()
    watcher.close()
    assert responder.headers["Authorization"] == "Bearer s3cret"
    assert kinds(story) == [Kind.WEBHOOK_RECEIVED, Kind.NOTE]
    assert story.timeline().events[0].data["alert"] == "A"


def test_alertmanagers_receivers_and_failures_are_noted(serve, story):
    """Whom it routes to, and how many notifications failed since the drill began."""
    metrics = 'alertmanager_notifications_failed_total{integration="webhook"} '
    manager = serve(
        {
            "/api/v2/alerts": [
                {"labels": {"alertname": "A", "system": "x0tta6bl4"}, "receivers": [{"name": "responder"}]}
            ],
            "/metrics": metrics + "3\n",
        }
    )
    watcher = Routing(story, manager.url, ours=OURS)
    watcher.look()
    manager.answers["/metrics"] = metrics + "10\n"
    watcher.look()
    watcher.close()
    assert watcher.facts() == {"receivers": {"A": ["responder"]}, "failed": {"webhook": 7}}


def run_until(watcher, condition):
    watcher.start()
    wait_until(condition, bool, what="the watcher", timeout_s=10)
    watcher.finish()


def test_a_source_that_was_read_to_the_end_is_noted_so(serve, story):
    """Its silence may then be believed."""
    watcher = Inbox(story, serve({"/inbox": {"messages": []}}).url, since=T0)
    run_until(watcher, lambda: watcher._reads >= 2)
    assert note_of(story, "inbox").readable


def test_a_source_that_refuses_is_noted_as_refusing(story):
    """Nothing listens there: a fact about it, in one sentence."""
    watcher = Audit(story, "http://127.0.0.1:1", token_file="", since=T0)
    run_until(watcher, lambda: watcher._failures >= 1)
    noted = note_of(story, "responder")
    assert noted.refused
    assert not noted.readable
    assert noted.error == "connection to http://127.0.0.1:1 refused"


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ({}, 200, "answered 404"),
        ({"/inbox": {"messages": []}}, 503, "answered 503"),
        ({"/inbox": {"unexpected": 1}}, 200, "its answer cannot be used: KeyError"),
        ({"/inbox": "<html>"}, 200, "its answer cannot be used: JSONDecodeError"),
    ],
)
def test_answers_that_cannot_be_used_make_a_source_unreadable(serve, story, answers, status, words):
    """An error, a surprise or a web page is no empty inbox."""
    server = serve(answers)
    server.status = status
    watcher = Inbox(story, server.url, since=T0)
    run_until(watcher, lambda: watcher._failures >= 1)
    noted = note_of(story, "inbox")
    assert not noted.readable
    assert not noted.refused
    assert words in noted.error


def test_a_source_that_comes_back_is_readable_again(serve, story):
    """Inbox and audit can be read back, so only the last look decides."""
    server = serve({"/inbox": {"messages": []}})
    server.status = 503
    watcher = Inbox(story, server.url, since=T0)
    watcher.start()
    wait_until(lambda: watcher._failures, bool, what="a failure", timeout_s=10)
    server.status = 200
    watcher.finish()
    assert note_of(story, "inbox").readable


def test_a_watcher_that_fails_in_an_unforeseen_way_is_unreadable(serve, story, tmp_path):
    """Whatever it is, a good read before it does not make the silence after it peace."""
    token = tmp_path / "token"
    token.write_text("secret")
    watcher = Audit(story, serve({"/audit": {"records": []}}).url, token_file=str(token), since=T0)
    watcher.start()
    wait_until(lambda: watcher._reads, bool, what="a good read", timeout_s=10)
    token.unlink()
    watcher.finish()
    noted = note_of(story, "responder")
    assert not noted.readable
    assert "FileNotFoundError" in noted.error


def test_a_watcher_that_never_started_is_unreadable(serve, story):
    """An experiment that could not begin leaves no false silence."""
    watcher = Inbox(story, serve({}).url, since=time.time())
    watcher.finish()
    watcher.close()
    assert not note_of(story, "inbox").readable
