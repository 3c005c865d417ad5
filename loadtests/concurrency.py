"""How many users may wait for the system at once: as many as bring answers, and no more.

A system that is full serves fewer requests the more of them it holds (Gunther's universal scalability law), so a
generator that adds a connection for each request that finds none pushes it over the edge, and keeps it there: what
falls due meanwhile wants still more. So more users are a question that is asked of the system: for one look they are
doubled, and they stay only if the answers a second rose by a quarter or more. Otherwise requests wait here, and their
time counts from when they were due (wrk2's way: connections stay, latency has it all). Pure; ``look`` is the clock.
"""

from __future__ import annotations

GROWTH = 2.0  # of users at one look; slow start, as TCP has it
AT_ONCE = 200  # users more at one look: making them stops the event loop for some 0.1 ms each
GAIN = 1.25  # answers a second that twice the users must bring to stay: they would be doubled where users are short
SHRINK = 0.8  # of users that nobody needs, at one look
PAUSE, LONGEST_PAUSE = 2, 32  # looks until what failed is tried again, doubled each time


class Concurrency:
    """``limit`` is how many may wait for the system; ``short`` whether the last growth brought answers.

    While ``short``, requests wait because users are too few: the generator's own doing. Otherwise they wait because
    the system answers no more of them a second, however many ask: its limit. ``most``: the limit's own bound.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = 0
        self.short = False
        self._least = 0
        self._before: int | None = None  # the limit before the try that runs
        self._answers = 0.0  # a second, before it
        self._pause = self._wait = 0
        self._down = False  # which way the next try goes

    def joined(self) -> None:
        """A user came that was not asked for: those are the ones to begin with."""
        self._least += 1
        self.limit = max(self.limit, self._least)

    def look(self, elapsed_s: float, answers: int, *, full: bool, busiest: int) -> None:
        """After ``elapsed_s`` seconds with so many answers.

        ``full``: all that while requests waited here, and every user for the system. ``busiest``: the most users that
        waited for the system at once.
        """
        rate = answers / elapsed_s
        if not full:
            self._rest(busiest)
            return
        self._wait = max(0, self._wait - 1)
        if self._before is not None:
            self._conclude(rate, self._before)
        if self._before is None and self._wait == 0 and answers:  # who answers nobody needs nobody more
            self._try(rate)

    def _rest(self, busiest: int) -> None:
        self.short, self._before, self._down = False, None, False
        self._pause = self._wait = 0
        if busiest * 2 < self.limit:
            self.limit = max(self._least, 2 * busiest, int(self.limit * SHRINK))

    def _try(self, rate: float) -> None:
        if self._down:
            aim = max(self._least, int(self.limit / GROWTH))
        else:
            aim = min(self.most, int(self.limit * GROWTH), self.limit + AT_ONCE)
        if aim == self.limit or (aim > self.limit) == self._down:
            self.short = False  # as many as there may ever be
            self._failed()
            return
        self._answers, self._before, self.limit = rate, self.limit, aim

    def _conclude(self, rate: float, before: int) -> None:
        """Whether what was tried stays. Fewer users stay when nothing is lost by it."""
        self._before = None
        self.short = not self._down and rate > self._answers * (1 + (GAIN - 1) * (self.limit / before - 1))
        if self.short or (self._down and rate >= self._answers):
            self._pause = self._wait = 0
            return
        self.limit = before
        self._failed()

    def _failed(self) -> None:
        """The other way is next, after a pause."""
        self._down = not self._down
        self._pause = min(LONGEST_PAUSE, max(PAUSE, 2 * self._pause))
        self._wait = self._pause
