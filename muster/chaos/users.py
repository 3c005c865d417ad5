"""The users of a drill as a source of its timeline: what the load generator tells of each second."""

from __future__ import annotations

from muster.chaos.story import Story
from muster.chaos.watch import Watcher
from muster.judge.figures import told
from muster.load import Load, LoadError
from muster.timeline import Kind


class Users(Watcher):
    """What the load generator saw and did, second by second."""

    source = "load"

    def __init__(self, story: Story, load: Load) -> None:
        super().__init__(story)
        self._load = load

    def look(self) -> None:
        """Tell every second that is over. Raises :class:`~muster.load.LoadError` when the generator died."""
        for second in self._load.new_seconds():
            self.story.tell(Kind.TRAFFIC, source=self.source, at=float(second.at), **told(second))
        if failure := self._load.failure():
            raise LoadError(failure)
