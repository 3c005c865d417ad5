"""What a person sees while a drill runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

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


def test_the_next_deadline_is_shown_until_it_is_met(screen, story):
    """While the webhook is due, the status line counts down over the alert's window."""
    expected = {"webhook_within_s": 1.2, "rollback_within_s": 5.0}
    with screen.progress.shown():
        story.tell(Kind.DRILL_STARTED, source="muster", expected=expected, window_s=5.0)
        story.tell(Kind.FAULT_INJECTED, source="muster")
        story.tell(Kind.FAULT_CONFIRMED, source="kubernetes")
        assert "webhook due in 6." in screen.progress._status().plain
        story.tell(Kind.WEBHOOK_RECEIVED, source="responder", alert=ALERT)
        assert (
            "proof due in 5." in screen.progress._status().plain or "proof due in 4." in screen.progress._status().plain
        )
        story.tell(Kind.TRAFFIC, source="load", requests=500, errors=75, p95_ms=12.0)
        assert "500 req/s  15.0% errors  P95 12 ms" in screen.progress._status().plain


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
