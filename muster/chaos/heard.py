"""What the responder says after its rollback, and how long a drill waits for that word."""

from __future__ import annotations

import time
from contextlib import suppress

from muster.chaos.story import Story
from muster.judge.helped import told
from muster.judge.link import since_injection
from muster.release.symptom import patience_s
from muster.system import Environment
from muster.timeline import Kind
from muster.wait import TimedOut, wait_until

HEARD_S = 3.0  # after the responder's own patience: its last look, and ours at its audit


def hear_of_the_symptom(story: Story, env: Environment, *, alert: str) -> None:
    """Wait until it has said whether the proven rollback over this alert helped, as long as it may take itself.

    Whether and what it said is the judge's to read; without a proof nothing is waited for.
    """
    timeline = story.timeline()
    proven = timeline.first(Kind.ROLLBACK_PROVEN, after=since_injection(timeline), verdict="PASS")
    if proven is None:
        return
    with suppress(TimedOut):
        wait_until(
            lambda: told(story.timeline(), alert),
            bool,
            what="the responder's word on the symptom",
            timeout_s=max(0.0, proven.at + patience_s(env) + HEARD_S - time.time()),
            every_s=0.1,
        )
