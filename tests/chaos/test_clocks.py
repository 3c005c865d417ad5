"""Sources that lie about the time, over real HTTP: what they stamp is found, and put where it belongs."""

from __future__ import annotations

import time

import pytest

from muster.chaos import outputs
from muster.chaos.records import Audit, Inbox
from muster.chaos.sources import Alerts, whose
from muster.judge.objectives import parse_objectives
from muster.judge.timeline import judge
from muster.system import Environment, load_system
from muster.timeline import Kind

OURS = whose(load_system("x0tta6bl4"), Environment(name="lab", description="here"))
SKEWS = [-3600.0, -2.5, 40.0]


def look(watcher, story, *, within_s):
    """Look until the clock is known so well: each answer narrows it, and one may be slow on a busy machine."""
    for _ in range(50):
        watcher.look()
        if story.timeline().clocks[watcher.source].bound_s < within_s:
            return


@pytest.mark.parametrize("skew", SKEWS)
def test_a_page_is_told_at_our_time_whatever_the_pagers_clock_says(serve, story, skew):
    """The inbox filters and stamps by its own clock; the page is found and told, and its raw time is kept."""
    received = time.time()
    stored = {"received_at": received + skew, "to": "on-call", "alert": "A", "summary": "s", "channel": "pagerduty"}

    def inbox(query):
        messages = [stored | {"action": "trigger"}] if stored["received_at"] >= float(query["since"]) else []
        return {"now": time.time() + skew, "messages": messages}

    watcher = Inbox(story, serve({"/inbox": inbox}).url, since=received - 1.0)
    watcher.look()
    look(watcher, story, within_s=0.25)
    watcher.close()
    (page,) = story.timeline().of(Kind.PAGE_RECEIVED)
    assert page.at == pytest.approx(received, abs=0.25)
    assert page.data["raw_at"] == received + skew
    clock = story.timeline().clocks["inbox"]
    assert clock.skew_s == pytest.approx(skew, abs=clock.bound_s + 0.001)
    assert clock.bound_s < 0.25


def test_old_pages_of_a_fast_clock_are_not_this_drills(serve, story):
    """A page from before the drill, stamped after its begin by a clock that is ahead."""
    now = time.time()
    old = {"received_at": now - 10 + 40, "to": "x", "alert": "A", "summary": "s", "channel": "c", "action": "trigger"}
    sink = serve({"/inbox": lambda _: {"now": time.time() + 40, "messages": [old]}})
    watcher = Inbox(story, sink.url, since=now)
    watcher.look()
    watcher.close()
    assert list(story.timeline().of(Kind.PAGE_RECEIVED)) == []


@pytest.mark.parametrize("skew", SKEWS)
def test_prometheus_clock_is_asked_for_and_its_evaluations_are_put_right(serve, story, skew):
    """``time()`` measures it; activeAt and the ALERTS series are moved by it."""
    fired_at = time.time()

    def query(asked):
        if asked["query"] == "time()":
            return {"data": {"resultType": "scalar", "result": [time.time() + skew, f"{time.time() + skew:.3f}"]}}
        assert fired_at + skew - 1.0 <= float(asked["time"]) <= time.time() + skew + 3.0
        return {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[fired_at + skew, "1"]]}]}}

    labels = {"alertname": "A", "system": story.system}
    active = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(fired_at + skew))
    alerts = {"data": {"alerts": [{"labels": labels, "state": "firing", "activeAt": active}]}}
    prometheus = serve({"/api/v1/alerts": alerts, "/api/v1/query": query})
    watcher = Alerts(story, prometheus.url, since=fired_at - 5.0, ours=OURS)
    look(watcher, story, within_s=0.2)
    watcher.close()
    (pending,), (firing,) = (list(story.timeline().of(kind)) for kind in (Kind.ALERT_PENDING, Kind.ALERT_FIRING))
    assert pending.at == pytest.approx(fired_at, abs=1.3)
    assert firing.at == pytest.approx(fired_at, abs=0.25)


def test_a_prometheus_that_does_not_tell_the_time_is_read_all_the_same(serve, story):
    """A proxy that passes alerts only: its Date header is what is known of the clock, and no read has failed."""
    alerts = {"data": {"alerts": []}}
    watcher = Alerts(story, serve({"/api/v1/alerts": alerts}).url, since=time.time(), ours=OURS)
    look(watcher, story, within_s=0.8)
    watcher.close()
    assert story.timeline().clocks["prometheus"].bound_s == pytest.approx(0.5, abs=0.3)


def test_without_a_time_of_its_own_the_date_header_tells_the_clock(serve, story, tmp_path):
    """A source that says nothing better still stamps its answers, to the second; the bound says so."""
    (tmp_path / "token").write_text("t")
    watcher = Audit(story, serve({"/audit": {"records": []}}).url, token_file=str(tmp_path / "token"), since=0.0)
    look(watcher, story, within_s=0.8)
    watcher.close()
    clock = story.timeline().clocks["responder"]
    assert abs(clock.skew_s) <= clock.bound_s <= 0.8


def test_timeline_json_says_what_was_measured_and_reads_back(story, tmp_path, serve):
    """``clock: {source: {skew_s, bound_s}}``, and events with their raw times."""
    watcher = Inbox(story, serve({"/inbox": lambda _: {"now": time.time() + 40, "messages": []}}).url, since=0.0)
    look(watcher, story, within_s=0.25)
    watcher.close()
    story.tell(Kind.PAGE_RECEIVED, source="inbox", at=140.0, clock="inbox", alert="A")
    promised = parse_objectives({"name": "muster", "recovered_within": "5s"}, where="test")
    timeline = story.timeline()
    body = outputs.document(timeline, promised, judge(timeline, promised), title="T")
    assert body["clock"]["inbox"]["skew_s"] == pytest.approx(40.0, abs=0.25)
    (event,) = body["events"]
    assert (round(event["at"]), event["data"]["raw_at"]) == (100, 140.0)
    again = outputs.read(outputs.write(tmp_path, body))
    assert again.clocks.keys() == {"inbox"}
