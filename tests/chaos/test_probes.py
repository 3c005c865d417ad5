"""Probes that wait: for how long, and for what no longer."""

from __future__ import annotations

import math
import threading
import time
from types import SimpleNamespace

import pytest
from users_told import LIMITS, second

from muster.chaos.probes import outlasted, recovered
from muster.chaos.steady import Look
from muster.chaos.visible import scraped_at
from muster.errors import Unknown
from muster.timeline import Kind
from muster.verdict import Verdict

HERE = {"system": "x0tta6bl4", "environment": "staging"}


@pytest.mark.parametrize(("pods", "lasted"), [({}, True), ({"pods": ["new"]}, False)])
def test_only_pods_that_are_new_may_still_have_to_be_discovered(story, monkeypatch, pods, lasted):
    """A fault of what is scraped already is seen at once; a new pod within Prometheus' discovery."""
    monkeypatch.setattr("muster.chaos.visible.scraped_at", lambda *_, **__: None)
    now = time.time()
    story.tell(Kind.DRILL_STARTED, source="muster", outlast_s=0.2, expected={})
    story.tell(Kind.FAULT_INJECTED, source="muster", at=now)
    story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=now, **pods)
    assert outlasted(within="0.2s", configuration=HERE) is lasted
    assert time.time() - now >= 0.2


def test_a_new_pod_is_seen_from_its_first_scrape_on(story, monkeypatch):
    """Discovery that is over need not be waited for; what came before the fault was in force is not counted."""
    now = time.time()
    story.tell(Kind.DRILL_STARTED, source="muster", outlast_s=0.4, expected={})
    story.tell(Kind.FAULT_INJECTED, source="muster", at=now - 1.0)
    story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=now - 0.3, pods=["new"])
    for scraped, least_s in ((now - 0.1, 0.3), (now - 0.9, 0.1)):
        monkeypatch.setattr("muster.chaos.visible.scraped_at", lambda *_, at=scraped, **__: at)
        assert outlasted(within="1s", configuration=HERE) is True
        assert time.time() - now >= least_s


def test_a_scrape_counts_also_when_discovery_is_long_over(story, monkeypatch):
    """It is when the pod was seen, however late somebody asks."""
    now = time.time()
    story.tell(Kind.DRILL_STARTED, source="muster", outlast_s=19.0, expected={})
    story.tell(Kind.FAULT_INJECTED, source="muster", at=now - 20.0)
    story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=now - 19.5, pods=["new"])
    monkeypatch.setattr("muster.chaos.visible.scraped_at", lambda *_, **__: now - 19.2)
    assert outlasted(within="1s", configuration=HERE) is True
    assert time.time() - now < 10.0  # discovery of 12 s would make it 11.5


class Asked:
    """A monitor that answers each query by its first word."""

    def __init__(self, **answers):
        self.answers = answers

    def value(self, query, *, timeout_s):
        found = self.answers[query.partition("(")[0]]
        if found is None:
            raise Unknown("no samples")
        return found


def test_pods_are_scraped_when_the_last_of_them_was():
    """One that is missing, or an answer that is, means not yet."""
    assert scraped_at(Asked(count=2.0, max=77.5), ["a", "b"], since=time.time()) == 77.5
    assert scraped_at(Asked(count=1.0, max=77.5), ["a", "b"], since=time.time()) is None
    assert scraped_at(Asked(count=None), ["a"], since=time.time()) is None


@pytest.fixture
def well(monkeypatch):
    """Every look holds, at ``.at`` if that is set, and is fresh; ``.looks`` counts them."""
    counted = SimpleNamespace(looks=0, at=None)

    def look(*_, **__):
        counted.looks += 1
        return Look(at=counted.at or time.time(), verdict=Verdict.PASS, message="47 checks held", judged=47)

    monkeypatch.setattr("muster.chaos.probes.FRESH_S", 600.0)
    monkeypatch.setattr("muster.chaos.steady.look", look)
    return counted


def begun(story, **expected):
    story.tell(Kind.DRILL_STARTED, source="muster", expected=expected, **LIMITS)
    story.tell(Kind.FAULT_INJECTED, source="muster", at=math.floor(time.time()) - 10.0)


def test_without_users_a_look_that_holds_is_recovery(story, well):
    """At the instant of its snapshot, and at once."""
    begun(story)
    assert recovered(configuration=HERE)
    assert story.timeline().first(Kind.RECOVERED).message == "47 checks held"
    assert well.looks == 1


def test_recovery_is_told_when_users_are_well_too(story, well):
    """Slow until now: the checks hold at once, users two full seconds later, by one look that is still fresh."""
    begun(story, load={"rate": 100, "users": 10})
    now = float(math.floor(time.time()))
    for at in range(-6, 0):
        story.tell(Kind.TRAFFIC, source="load", at=now + at, **second(100, p95_ms=450.0))
    for at in range(2):
        story.tell(Kind.TRAFFIC, source="load", at=now + at, **second(100, p95_ms=9.0))  # as soon as these are told
    well.at = now + 1
    assert recovered(configuration=HERE)
    event = story.timeline().first(Kind.RECOVERED)
    assert event.at == now + 2
    assert event.message == "47 checks held; users: P95 9 ms, 0.00% of 200 requests failed in 2 s"
    assert well.looks == 1


def test_users_who_stay_unwell_are_waited_for_no_longer_than_allowed(story, well):
    """The checks hold, users do not: nothing is told, and the wait is bounded."""
    begun(story, load={"rate": 100, "users": 10})
    now = float(math.floor(time.time()))
    for at in range(-6, 3):
        story.tell(Kind.TRAFFIC, source="load", at=now + at, **second(100, p95_ms=450.0))
    began = time.monotonic()
    assert not recovered(within="0.3s", configuration=HERE)
    assert time.monotonic() - began < 10
    assert story.timeline().first(Kind.RECOVERED) is None
    assert well.looks == 1


def rolled_back(story, **expected):
    begun(story, alert="A", action="rollback", **expected)
    story.tell(Kind.ROLLBACK_PROVEN, source="responder audit", verdict="PASS", alert="A")


def test_the_responders_word_on_the_symptom_is_waited_for(story, well):
    """It comes a moment after the proof; whatever it is, the experiment goes on then."""
    rolled_back(story)
    gone = {"source": "responder audit", "verdict": "FAIL", "alert": "A"}
    later = threading.Timer(0.3, story.tell, [Kind.SYMPTOM_GONE], gone)
    later.start()
    assert recovered(configuration=HERE)
    assert story.timeline().first(Kind.SYMPTOM_GONE) is not None
    later.join()


def test_a_word_that_never_comes_is_waited_for_no_longer_than_the_responder_may_take(story, well, monkeypatch):
    """Nor is one at all where no rollback was proven."""
    monkeypatch.setattr("muster.chaos.heard.patience_s", lambda _: 0.2)
    monkeypatch.setattr("muster.chaos.heard.HEARD_S", 0.2)
    rolled_back(story)
    began = time.monotonic()
    assert recovered(configuration=HERE)
    assert 0.2 <= time.monotonic() - began < 15  # it would be 20 for users, and an hour below
    monkeypatch.setattr("muster.chaos.heard.patience_s", lambda _: 3600.0)
    story._events.clear()
    begun(story, alert="A", action="rollback")
    assert recovered(configuration=HERE)
