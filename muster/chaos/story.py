"""The events of one experiment while they come in: kept in memory, on disk, and told to whoever listens.

Chaos Toolkit calls actions, probes and controls as bare functions and runs one experiment at a time in a process, so
the story being told is found through :func:`current`, as its own controls find their state.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from muster.judge.clock import align, aligned
from muster.timeline import Clock, Event, Kind, Timeline


@dataclass
class Story:
    """Events in the order in which they became known. Safe to use from several threads."""

    experiment: str
    system: str
    environment: str
    file: Path | None = None  # each event is appended here at once, as evidence that outlives a SIGKILL
    clocks: dict[str, Clock] = field(default_factory=dict)  # of the sources that stamp events themselves, as measured
    _events: list[Event] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _log: IO[str] | None = None

    def __post_init__(self) -> None:
        if self.file is not None:
            self._log = self.file.open("w", encoding="utf-8", buffering=1)

    def tell(self, kind: Kind, *, source: str, at: float | None = None, message: str = "", **data: Any) -> Event:
        """Add one event; ``at`` defaults to now, in seconds since the epoch.

        Where a source stamped it, ``clock`` (in ``data``) names that source: listeners hear, and the timeline holds,
        the event at our time.
        """
        event = Event(at=time.time() if at is None else at, kind=kind, source=source, message=message, data=data)
        with self._lock:
            self._events.append(event)
            if self._log is not None:
                self._log.write(json.dumps(asdict(event)) + "\n")
        heard = aligned(event, self.clocks.get(str(data.get("clock", ""))))
        for listener in tuple(_listeners):
            listener(self, heard)
        return event

    def correct(self, event: Event, *, at: float, clock: str) -> None:
        """Move an event to the instant that its source turned out to know better, by that source's clock."""
        data = {**event.data, "seen_at": event.at, "clock": clock}
        with self._lock:
            self._events[self._events.index(event)] = replace(event, at=at, data=data)

    def timeline(self) -> Timeline:
        """Everything told so far, at our time and in order of it."""
        with self._lock:
            events, clocks = tuple(self._events), dict(self.clocks)
        return align(
            Timeline(
                experiment=self.experiment,
                system=self.system,
                environment=self.environment,
                events=events,
                clocks=clocks,
            )
        )

    def close(self) -> None:
        """Close the file; later events are only kept in memory."""
        with self._lock:
            if self._log is not None:
                self._log.close()
                self._log = None


Listener = Callable[[Story, Event], None]
_listeners: list[Listener] = []
_current: list[Story] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener(story, event)`` for each event of any story, from the thread that tells it."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def begin(story: Story) -> None:
    """Make this the story that actions and probes add to."""
    _current[:] = [story]


def end() -> None:
    """Nothing is being recorded any more."""
    for story in _current:
        story.close()
    _current.clear()


def current() -> Story | None:
    """The story being told, or None outside a recorded experiment."""
    return _current[0] if _current else None


def tell(kind: Kind | str, *, source: str, at: float | None = None, message: str = "", **data: Any) -> None:
    """Add to the story being told; without one (an action tried by hand) nothing is kept. An action in itself."""
    story = current()
    if story is not None:
        story.tell(Kind(kind), source=source, at=at, message=message, **data)
