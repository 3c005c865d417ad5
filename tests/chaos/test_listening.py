"""The probe of silence listens until the slowest alert that might break a promise would have told."""

import time

from muster.chaos import probes
from muster.timeline import Kind


def test_quiet_listens_until_the_slowest_alert_would_have_told(story):
    """Counted from the fault: what was listened to already need not be listened to again."""
    now = time.time()
    story.tell(Kind.DRILL_STARTED, source="test", listen_s={"page": 2.0, "rollback": 1.0})
    story.tell(Kind.FAULT_INJECTED, source="test", at=now - 0.8)
    assert probes.quiet(lasting="0s") is True
    assert 2.0 - 0.8 <= time.time() - now < 4.0


def test_quiet_without_a_promise_waits_for_open_alerts_only(story):
    """An experiment that forbids nothing has nothing to wait for."""
    story.tell(Kind.DRILL_STARTED, source="test", listen_s={})
    story.tell(Kind.FAULT_INJECTED, source="test")
    began = time.monotonic()
    assert probes.quiet(lasting="0s") is True
    assert time.monotonic() - began < 1.0
