"""Whether a drill left anything behind: each fault that it injected was undone, and says so."""

from __future__ import annotations

from collections.abc import Iterable

from muster.judge.outcome import Outcome
from muster.timeline import Kind, Timeline
from muster.verdict import Verdict

_NAME = "undone"


def undone(timeline: Timeline) -> Iterable[Outcome]:
    """FAIL for a fault that could not be undone, UNKNOWN for one of which nobody said that it was."""
    injected = [str(event.data["fault"]) for event in timeline.of(Kind.FAULT_INJECTED) if "fault" in event.data]
    healed = {event.data.get("fault") for event in timeline.of(Kind.HEALED)}
    left = [fault for fault in injected if fault not in healed]
    failed = [event for event in timeline.of(Kind.NOTE) if event.data.get("fault") in left]
    if failed:
        message = f"{failed[-1].message}; until its watchdog or muster heal undoes it, it is there"
        yield Outcome(objective=_NAME, verdict=Verdict.FAIL, message=message)
    elif left:
        message = f"nothing says that {', '.join(left)} was undone: muster faults tells what is left"
        yield Outcome(objective=_NAME, verdict=Verdict.UNKNOWN, message=message)
    elif injected:
        yield Outcome(objective=_NAME, verdict=Verdict.PASS, message="everything that was broken was undone")
