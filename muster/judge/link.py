"""One link of a drill's chain, and how well the sources could be read that would have shown it."""

from __future__ import annotations

from dataclasses import dataclass

from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict

# What is not declared is never read; where a declaration asks for something unusual, where that is written down.
_NEVER = {"inbox": "the environment names no inbox: docs/drill.md, Proof of pages"}
BLINK_S = 5.0  # unread for so long, an alert may have come and gone


@dataclass(frozen=True, kw_only=True)
class Source:
    """How well one source could be read while the drill ran; its last note in the timeline."""

    name: str
    reads: int = 0
    error: str = "it was never read"  # of the last read; empty when that one was good
    refused: bool = False  # nothing listens there: a fact about the source, not a failure to look
    gap_s: float = 0.0  # the longest time between two good reads
    last_good_at: float | None = None  # when the last good read began, in seconds since the epoch

    @property
    def readable(self) -> bool:
        """Whether what it does not say did not happen: it was read, and could be read at the end."""
        return self.reads > 0 and not self.error

    @property
    def attentive(self) -> bool:
        """The same of a source that remembers nothing (alerts come and go): it was never out of sight for long."""
        return self.readable and self.gap_s <= BLINK_S


def source(timeline: Timeline, name: str) -> Source:
    """What the timeline's last note says about reading this source."""
    note = None
    for event in timeline.of(Kind.NOTE):
        if event.source == name and "reads" in event.data:
            note = event
    if note is None:
        return Source(name=name, error=_NEVER.get(name, Source.error))
    return Source(
        name=name,
        reads=int(note.data.get("reads", 0)),
        error=str(note.data.get("error", "")),
        refused=bool(note.data.get("refused", False)),
        gap_s=float(note.data.get("longest_gap_s", 0.0)),
        last_good_at=note.data.get("last_good_at"),
    )


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link. Without an event it is missing; ``why`` then says what is known, ``verdict`` whether that is proof."""

    name: str
    event: Event | None
    why: str = ""
    verdict: Verdict = Verdict.PASS


def since_injection(timeline: Timeline) -> float:
    """When the fault was injected; infinity when it never was."""
    event = timeline.first(Kind.FAULT_INJECTED)
    return event.at if event else float("inf")


def unreadable(name: str, unknown: str, source_: Source) -> Link:
    """A link of which nothing is known, because its source could not be read."""
    error = source_.error or f"not for {source_.gap_s:.1f} s at a time"
    why = f"{unknown}: {source_.name} could not be read ({error})"
    return Link(name=name, event=None, why=why, verdict=Verdict.UNKNOWN)
