"""Hands requests that are due to users that are idle: an open loop. A system that answers late delays no other request.

Runs in gevent's hub, in a timer's callback: a request costs one look at the clock and one switch to its user, who
sends and gives the loop back. Who is idle longest is next, so that every connection is used. How many users may wait
for the system at once is another's decision (``concurrency``); what is due beyond that waits here.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from concurrency import Concurrency
from gevent import get_hub, getcurrent

_clock = time.perf_counter
AT_ONCE = 64  # requests handed out before answers are looked at again
LEAST_SLEEP_S = 0.0005  # between two looks at the schedule: one timer for what falls due meanwhile


class Slot(NamedTuple):
    """One request: when it was due (seconds of ``time.perf_counter``) and which of the mix it is.

    ``late`` says that it was counted as late when it fell due.
    """

    due: float
    kind: int
    late: bool = False


@dataclass(slots=True)
class Count:
    """What became of the schedule so far, in requests.

    offered: due. sent: handed to a user. late: by the generator's own doing, more than ``late_after_s``. dropped: never
    sent, being ``give_up_after_s`` old. held: sent as late as that because the system held as many as it serves.
    held_dropped: never sent for that reason.
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
    ``look_s``: how often it is asked whether more users would bring more answers, or fewer as many.
    """

    def __init__(
        self,
        due: Iterator[float],
        kinds: Iterator[int],
        *,
        grow: Callable[[], bool],
        concurrency: Concurrency,
        late_after_s: float,
        give_up_after_s: float,
        look_s: float,
    ) -> None:
        self.count = Count()
        self.in_flight = 0  # users that wait for the system
        self.concurrency = concurrency
        self._due, self._kinds, self._grow = due, kinds, grow
        self._late_after_s, self._give_up_after_s, self._look_s = late_after_s, give_up_after_s, look_s
        self._idle: deque[Any] = deque()
        self._backlog: deque[Slot] = deque()
        self._coming = 0  # users that are being made
        self._next: float | None = None
        self._zero = 0.0
        self._timer: Any = None
        self._loop = get_hub().loop
        self._leave: Callable[[], Any] = get_hub().switch
        self._looks: Any = None
        self._looked_at = 0.0
        self._answers = self._busiest = 0  # since then
        self._lull = True  # whether somebody was free since then

    def begin(self) -> None:
        """From now on requests are due."""
        self._zero = self._looked_at = _clock()
        self._advance()
        self._sleep()
        self._looks = self._loop.timer(self._look_s, self._look_s)
        self._looks.start(self._look)

    @property
    def over(self) -> bool:
        """Whether every request was due, none waits for a user, and no user for the system."""
        return self._zero > 0 and self._next is None and not self._backlog and not self.in_flight

    @property
    def waiting(self) -> int:
        """Requests that are due and not yet sent."""
        return len(self._backlog)

    def joined(self) -> None:
        """For users, once: one that was asked for is there, or one that Locust made by itself."""
        if self._coming:
            self._coming -= 1
        else:
            self.concurrency.joined()

    def take(self) -> Slot:
        """For users: the next request, waited for. :meth:`done` follows when it was answered, or failed."""
        if self._backlog and self.in_flight < self.concurrency.limit and (slot := self._oldest(_clock())):
            return slot
        self._lull = self._lull or not self._backlog
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

    def done(self) -> None:
        """For users: what was taken last is over."""
        self.in_flight -= 1
        self._answers += 1

    def stop(self) -> None:
        """No more requests; those that wait are dropped."""
        self._next = None
        self._due = iter(())
        while self._backlog:
            self._drop(self._backlog.popleft())
        for timer in (self._timer, self._looks):
            if timer is not None:
                timer.stop()
                timer.close()
        self._timer = self._looks = None

    def _oldest(self, now: float) -> Slot | None:
        """The oldest that waits, given out; None when all of them are too old."""
        while self._backlog:
            slot = self._backlog.popleft()
            waited_s = now - slot.due
            if waited_s > self._give_up_after_s:
                self._drop(slot)
                continue
            if waited_s > self._late_after_s and not slot.late:
                if self.concurrency.short:
                    self.count.late += 1
                else:
                    self.count.held += 1
            self._given()
            return slot
        return None

    def _given(self) -> None:
        self.count.sent += 1
        self.in_flight += 1
        self._busiest = max(self._busiest, self.in_flight)

    def _drop(self, slot: Slot) -> None:
        self.count.dropped += 1
        self.count.held_dropped += not self.concurrency.short
        self.count.late -= slot.late  # counted once, as dropped

    def _advance(self) -> None:
        due = next(self._due, None)
        self._next = None if due is None else self._zero + due

    def _sleep(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if self._next is not None:
            self._timer = self._loop.timer(max(LEAST_SLEEP_S, self._next - _clock()))
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
            late = now - due > self._late_after_s
            self.count.late += late
            self._hand(Slot(due, next(self._kinds), late))
            left -= 1
        if self._backlog:
            self._forget(_clock())
        self._sleep()

    def _hand(self, slot: Slot) -> None:
        if self._idle and not self._backlog and self.in_flight < self.concurrency.limit:
            self._given()
            self._idle.popleft().switch(slot)  # returns when the user waits for its answer
        else:
            self._backlog.append(slot)
            self._hand_on()

    def _hand_on(self) -> None:
        """What waits, to users that are idle, as far as they may have it."""
        while self._idle and self.in_flight < self.concurrency.limit and (slot := self._oldest(_clock())):
            self._idle.popleft().switch(slot)

    def _forget(self, now: float) -> None:
        """Drop what is too old, also while no user comes to take it."""
        while self._backlog and now - self._backlog[0].due > self._give_up_after_s:
            self._drop(self._backlog.popleft())

    def _look(self) -> None:
        """In the hub: may more users wait for the system, or fewer?"""
        now = _clock()
        full = bool(self._backlog) and not self._lull
        self.concurrency.look(max(1e-6, now - self._looked_at), self._answers, full=full, busiest=self._busiest)
        self._looked_at, self._answers, self._busiest = now, 0, self.in_flight
        self._lull = not self._backlog
        self._hand_on()
        self._forget(now)  # also after the schedule's end, when nothing falls due any more
        short = self.concurrency.limit - self.in_flight - len(self._idle) - self._coming
        while self._backlog and short > 0 and self._grow():
            self._coming += 1
            short -= 1
