"""What a person sees while a drill runs."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import pytest
from rich.console import Console
from users_told import second

from muster.chaos.story import Story
from muster.drill.progress import Progress
from muster.timeline import Kind

ALERT = "X0TTA6BL4ErrorRatioRollback"


@pytest.fixture
def screen():
    """``.progress`` that writes to ``.text()``."""

    class Screen:
        def __init__(self):
            self._stream = io.StringIO()
            self.progress = Progress(Console(file=self._stream, width=100))

        def text(self):
            return self._stream.getvalue()

    return Screen()


@pytest.fixture
def now(monkeypatch):
    """What the progress takes for now, however long the machine takes."""
    instant = time.time()
    monkeypatch.setattr("muster.drill.progress.time", SimpleNamespace(time=lambda: instant))
    return instant


@pytest.fixture
def story():
    return Story("bad-release", "x0tta6bl4", "lab")


def test_the_story_is_told_with_times_after_the_fault(screen, story):
    """One line for each event, signed seconds from the fault; before it there is no time to count."""
    with screen.progress.shown():
        story.tell(Kind.DRILL_STARTED, source="muster", message="A title")
        story.tell(Kind.STEADY, source="checks", message="34 checks held", verdict="PASS")
        story.tell(Kind.FAULT_INJECTED, source="muster", at=100.0, message="released")
        story.tell(Kind.ALERT_FIRING, source="prometheus", at=105.6, alert=ALERT)
        story.tell(Kind.PAGE_RECEIVED, source="inbox", at=105.7, alert=ALERT, contact="on-call")
        story.tell(Kind.ROLLBACK_PROVEN, source="responder", at=108.0, message="revision 1", verdict="PASS")
    lines = screen.text().splitlines()
    assert "bad-release: A title" in lines
    assert f"    +5.60 s  alert firing: {ALERT}" in lines
    assert f"    +5.70 s  paged on-call: {ALERT}" in lines
    assert "    +8.00 s  proven PASS: revision 1" in lines
    assert any(line.strip() == "steady: 34 checks held" for line in lines)


def test_what_two_sources_say_is_told_once(screen, story):
    """The responder and the cluster both see the last bad pod go."""
    with screen.progress.shown():
        story.tell(Kind.FAULT_INJECTED, source="muster", at=100.0)
        for name in ("kubernetes", "responder"):
            story.tell(Kind.TRAFFIC_OFF, source=name, at=101.0, message="no bad replica is left")
    assert screen.text().count("no bad replica is left") == 1


def test_an_alert_that_comes_again_may_go_again(screen, story):
    """Prometheus and the responder both say that it resolved: once for each time that it was there."""
    with screen.progress.shown():
        for _ in range(2):
            story.tell(Kind.ALERT_PENDING, source="prometheus", alert=ALERT)
            for name in ("prometheus", "responder"):
                story.tell(Kind.ALERT_RESOLVED, source=name, alert=ALERT)
    assert screen.text().count("alert resolved") == 2


def status(screen):
    return [line.rstrip() for line in screen.progress._status().plain.splitlines()]


def test_what_is_awaited_and_by_when_is_shown_until_it_came(screen, story, now):
    """The alert by its prediction, the page and the proof by their promises, each counted down; then the next."""
    expected = {"alert": ALERT, "page": "on-call", "action": "rollback", "page_within_s": 5, "rollback_within_s": 20}
    with screen.progress.shown():
        story.tell(Kind.DRILL_STARTED, source="muster", expected=expected, window_s=5.0, predicted_s=(5.0, 6.75))
        story.tell(Kind.FAULT_INJECTED, source="muster", at=now)
        assert "waiting for the fault to take hold" in status(screen)[0]
        story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=now)
        assert f"waiting for {ALERT}, due in 6." in status(screen)[0]
        assert "(predicted 5.0 to 6.8 s)" in status(screen)[0]
        story.tell(Kind.ALERT_FIRING, source="prometheus", alert="AnotherAlert")
        assert ALERT in status(screen)[0]
        story.tell(Kind.ALERT_FIRING, source="prometheus", alert=ALERT)
        assert "waiting for the page to on-call, due in" in status(screen)[0]
        story.tell(Kind.PAGE_RECEIVED, source="inbox", alert=ALERT, contact="on-call")
        story.tell(Kind.WEBHOOK_RECEIVED, source="responder", alert=ALERT)
        story.tell(Kind.DECIDED, source="responder", alert=ALERT, decision="roll back")
        assert "waiting for the proof, due in" in status(screen)[0]
        story.tell(Kind.TRAFFIC, source="load", requests=500, errors=75, p95_ms=12.0)
        assert status(screen)[1].strip() == "500 req/s  15.0% errors  P95 12 ms"
        story.tell(Kind.TRAFFIC, source="load", **second(500, 75, offered=600, dropped=100))
        assert status(screen)[1].strip() == "500 of 600 req/s  15.0% errors  P95 12 ms  100 never sent"


def test_what_is_late_is_said_to_be_overdue(screen, story, now):
    """A deadline that has passed does not count on below zero."""
    with screen.progress.shown():
        story.tell(Kind.DRILL_STARTED, source="muster", expected={"alert": ALERT}, predicted_s=(5.0, 6.0))
        story.tell(Kind.FAULT_INJECTED, source="muster", at=now - 10)
        story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=now - 10)
        assert "overdue for 4." in status(screen)[0]


@pytest.mark.parametrize("width", [40, 80, 100])
def test_the_status_never_wraps(story, width):
    """Two lines at most, each shorter than the terminal is wide, or the live view would leave lines behind."""
    progress = Progress(Console(file=io.StringIO(), width=width))
    with progress.shown():
        story.tell(Kind.DRILL_STARTED, source="muster", expected={"alert": ALERT}, predicted_s=(5.0, 6.0))
        story.tell(Kind.FAULT_INJECTED, source="muster")
        story.tell(Kind.FAULT_CONFIRMED, source="kubernetes")
        story.tell(Kind.TRAFFIC, source="load", requests=500, errors=75, p95_ms=12.0)
        lines = progress._status().plain.split("\n")
    assert [len(line) for line in lines] == [width - 1, width - 1]


def test_the_verdict_lists_every_objective_the_worst_first(screen):
    """One line each: verdict, objective, sentence."""
    objectives = [
        {"objective": "alert", "verdict": "PASS", "message": "fired"},
        {"objective": "webhook", "verdict": "FAIL", "message": "nothing listens there"},
    ]
    screen.progress.verdict("bad-release", {"verdict": "FAIL", "message": "no webhook", "objectives": objectives})
    lines = [line.split() for line in screen.text().splitlines() if line]
    assert lines[0] == ["bad-release", "FAIL", "no", "webhook"]
    assert [line[0] for line in lines[1:]] == ["FAIL", "PASS"]
