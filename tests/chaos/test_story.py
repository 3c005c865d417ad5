"""Stories: events as they come in."""

from __future__ import annotations

import json
import threading

from muster.chaos import story as stories
from muster.chaos.story import Story, listening
from muster.timeline import Kind


def test_events_are_ordered_by_when_they_were_true(story):
    """A receipt that is read late stands where it belongs."""
    story.tell(Kind.ALERT_FIRING, source="prometheus", at=5.0)
    story.tell(Kind.FAULT_INJECTED, source="muster", at=1.0)
    assert [event.kind for event in story.timeline().events] == [Kind.FAULT_INJECTED, Kind.ALERT_FIRING]


def test_every_event_is_on_disk_at_once(tmp_path):
    """What was told survives a SIGKILL: the line is there before tell() returns."""
    told = Story("test", "s", "e", tmp_path / "events.jsonl")
    told.tell(Kind.NOTE, source="test", message="hello", count=3)
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["data"] == {"count": 3}
    told.close()


def test_listeners_hear_events_of_any_thread(story):
    """The terminal hears what watchers tell; afterwards it hears nothing."""
    heard = []
    with listening(lambda _, event: heard.append(event.message)):
        thread = threading.Thread(target=lambda: stories.tell(Kind.NOTE, source="x", message="from a thread"))
        thread.start()
        thread.join()
    stories.tell(Kind.NOTE, source="x", message="too late")
    assert heard == ["from a thread"]


def test_telling_outside_an_experiment_is_harmless():
    """An action tried by hand needs no recorder."""
    stories.tell(Kind.NOTE, source="x")
    assert stories.current() is None


def test_a_corrected_event_remembers_when_it_was_seen(story):
    """The exact time replaces the observed one, which stays in the data."""
    event = story.tell(Kind.ALERT_FIRING, source="prometheus", at=5.2)
    story.correct(event, at=5.0, clock="prometheus")
    (corrected,) = story.timeline().events
    assert (corrected.at, corrected.data["seen_at"]) == (5.0, 5.2)
