"""Hands requests that are due to users that are idle: an open loop. A system that answers late delays no other request.

Runs in gevent's hub, in a timer's callback: a request costs one look at the clock and one switch to its user, who
sends and gives the loop back. Who is idle longest is next, so that every connection is used.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from gevent import get_hub, getcurrent

_clock = time.perf_counter
AT_ONCE = 64  # requests handed out before answers are looked at again


class Slot(NamedTuple):
    """One request: when it was due (seconds of ``time.perf_counter``) and which of the mix it is.

    ``held`` says that every user that there may be was waiting for an answer then.
    """

    due: float
    kind: int
    held: bool = False


@dataclass(slots=True)
class Count:
    """What became of the schedule so far, in requests.

    offered: due. sent: handed to a user. late: by the generator's own doing, more than ``late_after_s``. dropped: never
    sent, being ``give_up_after_s`` old. held: not sent at once (or dropped), all users waiting for the system.
    """

    offered: int = 0
    sent: int = 0
    late: int = 0
    dropped: int = 0
    held: int = 0
    held_dropped: int = 0


class Dispatcher:
    """One process's share of the schedule.

    ``due`` gives instants in seconds from :meth:`begin`; ``grow`` adds a user, or says False when there may be no more.
    """

    def __init__(
        self,
        due: Iterator[float],
        kinds: Iterator[int],
        *,
        grow: Callable[[], bool],
        late_after_s: float,
        give_up_after_s: float,
    ) -> None:
        self.count = Count()
        self._due, self._kinds, self._grow = due, kinds, grow
        self._late_after_s, self._give_up_after_s = late_after_s, give_up_after_s
        self._idle: deque[Any] = deque()
        self._backlog: deque[Slot] = deque()
        self._coming = 0  # users that are being made
        self._next: float | None = None
        self._zero = 0.0
        self._timer: Any = None
        self._loop = get_hub().loop
        self._leave: Callable[[], Any] = get_hub().switch

    def begin(self) -> None:
        """From now on requests are due."""
        self._zero = _clock()
        self._advance()
        self._sleep()

    @property
    def over(self) -> bool:
        """Whether every request was due, and none waits for a user."""
        return self._zero > 0 and self._next is None and not self._backlog

    @property
    def waiting(self) -> int:
        """Requests that are due and not yet sent."""
        return len(self._backlog)

    def arrived(self) -> None:
        """A user that was asked for is there."""
        self._coming = max(0, self._coming - 1)

    def take(self) -> Slot:
        """For users: the next request, waited for."""
        now = _clock()
        while self._backlog:
            slot = self._backlog.popleft()
            if now - slot.due <= self._give_up_after_s:
                self.count.sent += 1
                return slot
            self._drop(slot)
        me = getcurrent()
        self._idle.append(me)
        try:
            slot = self._leave()
        except BaseException:  # the user is ended while it waits
            if me in self._idle:
                self._idle.remove(me)
            raise
        if not isinstance(slot, Slot):
            raise TypeError(f"an idle user was woken by somebody else, with {slot!r}")
        return slot

    def stop(self) -> None:
        """No more requests; those that wait are dropped."""
        self._next = None
        self._due = iter(())
        while self._backlog:
            self._drop(self._backlog.popleft())
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def _drop(self, slot: Slot) -> None:
        self.count.dropped += 1
        self.count.held_dropped += slot.held

    def _advance(self) -> None:
        due = next(self._due, None)
        self._next = None if due is None else self._zero + due

    def _sleep(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if self._next is not None:
            self._timer = self._loop.timer(max(0.0, self._next - _clock()))
            self._timer.start(self._tick, update=True)

    def _tick(self) -> None:
        """In the hub: hand out what is due."""
        left = AT_ONCE
        while left and self._next is not None and self._next <= (now := _clock()):
            due = self._next
            self._advance()
            self.count.offered += 1
            if now - due > self._give_up_after_s:  # nobody looked for so long: a run ends when its schedule does
                self.count.dropped += 1
                continue
            self.count.late += now - due > self._late_after_s
            self._hand(due, next(self._kinds))
            left -= 1
        self._forget(_clock())
        self._sleep()

    def _hand(self, due: float, kind: int) -> None:
        if self._idle and not self._backlog:
            self.count.sent += 1
            self._idle.popleft().switch(Slot(due, kind))  # returns when the user waits for its answer
            return
        held = False
        if self._coming <= len(self._backlog):
            held = not self._grow()
            self._coming += not held
        self.count.held += held
        self._backlog.append(Slot(due, kind, held))

    def _forget(self, now: float) -> None:
        """Drop what is too old, also while no user comes to take it."""
        while self._backlog and now - self._backlog[0].due > self._give_up_after_s:
            self._drop(self._backlog.popleft())
