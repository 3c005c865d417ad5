"""The probe of silence listens until the slowest alert that might break a promise would have told."""

import time

import pytest

from muster.chaos import probes
from muster.chaos.watch import Watcher
from muster.judge.link import source
from muster.judge.silence import missed_s
from muster.timeline import Kind


def test_quiet_listens_until_the_slowest_alert_would_have_told(story):
    """Counted from the fault: what was listened to already need not be listened to again."""
    now = time.time()
    story.tell(Kind.DRILL_STARTED, source="test", listen_s={"page": 60.0, "rollback": 1.0})
    story.tell(Kind.FAULT_INJECTED, source="test", at=now - 58.8)
    assert probes.quiet(lasting="0s") is True
    assert 60.0 - 58.8 <= time.time() - now < 30.0  # what the machine may stand still for included


def test_quiet_without_a_promise_waits_for_open_alerts_only(story):
    """An experiment that forbids nothing has nothing to wait for."""
    story.tell(Kind.DRILL_STARTED, source="test", listen_s={})
    story.tell(Kind.FAULT_INJECTED, source="test")
    began = time.monotonic()
    assert probes.quiet(lasting="0s") is True
    assert time.monotonic() - began < 10.0


def test_quiet_does_not_wait_for_what_fires_since_before_the_fault(story):
    """It cannot follow from it, and need not end; what is pending may yet."""
    story.tell(Kind.DRILL_STARTED, source="test", listen_s={})
    story.tell(Kind.ALERT_FIRING, source="prometheus", alert="Older")
    story.tell(Kind.FAULT_INJECTED, source="test")
    assert probes.quiet(lasting="0s", within="20s") is True
    story.tell(Kind.ALERT_PENDING, source="prometheus", alert="Newer")
    assert probes.quiet(lasting="0s", within="0s") is False


def test_quiet_makes_up_for_an_outage(story):
    """While Prometheus was away nobody listened: that time is waited for again, as the judge will ask for it."""
    now = time.time()
    story.tell(Kind.DRILL_STARTED, source="test", listen_s={"page": 1.0})
    story.tell(Kind.FAULT_INJECTED, source="test", at=now - 1.0)
    story.tell(Kind.NOTE, source="prometheus", at=now, message="not read for 0.8 s", unread_s=0.8)
    assert probes.quiet(lasting="0s") is True
    assert time.time() - now >= 0.8


class Moody(Watcher):
    """Fails as long as it is told to."""

    source, failing, slow_s, looked_at = "prometheus", False, 0.0, 0.0

    def look(self):
        self.looked_at = time.time()
        time.sleep(self.slow_s)
        if self.failing:
            raise ValueError("away")


@pytest.mark.parametrize("forgets", [True, False])
def test_an_outage_is_told_when_it_is_over(story, forgets):
    """By how long it was, so that the probe need not wait for the note at the end; only of what remembers nothing."""
    watcher = Moody(story, every_s=600.0)  # or a second outage would be told if the machine stood still for a moment
    watcher.forgets = forgets
    story.tell(Kind.FAULT_INJECTED, source="test")
    watcher.failing = True
    watcher._last_good -= 1000.0  # as if nobody had answered for so long
    watcher._try()
    assert missed_s(story.timeline()) == 0.0  # not known yet
    watcher.failing = False
    watcher._try()
    watcher._try()
    told = [event for event in story.timeline().of(Kind.NOTE) if "unread_s" in event.data]
    assert [round(event.data["unread_s"], -2) for event in told] == [1000.0] * forgets


def test_the_note_says_when_the_source_was_last_read_and_not_when_it_was_written(story):
    """The last look may be long over when the note is left, and a look says nothing of what came while it lasted."""
    watcher = Moody(story, every_s=0.02)
    watcher.slow_s = 0.1
    began = time.time()
    watcher._try()
    looked_at, watcher.failing = watcher.looked_at, True
    watcher._try()
    watcher.finish()
    (note,) = story.timeline().of(Kind.NOTE)
    last = source(story.timeline(), "prometheus").last_good_at
    assert began <= last <= looked_at
    assert note.at >= last + 0.2


def test_a_source_that_was_never_read_has_no_last_time(story):
    """Nothing is not the beginning of time."""
    watcher = Moody(story)
    watcher.failing = True
    watcher._try()
    watcher.finish()
    assert source(story.timeline(), "prometheus").last_good_at is None
