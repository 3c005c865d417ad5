"""The one way to wait: look, judge, look again, within a bound; the error carries the last state seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from muster.errors import MusterError

T = TypeVar("T")


class TimedOut(MusterError):  # noqa: N818 - says what happened, as TimeoutError does
    """The state waited for was not reached in time. ``last`` is the last state seen, in words."""

    def __init__(self, message: str, *, last: str) -> None:
        super().__init__(message)
        self.last = last


def wait_until(
    look: Callable[[], T],
    accept: Callable[[T], bool],
    *,
    what: str,
    timeout_s: float,
    every_s: float = 0.1,
    successes: int = 1,
    show: Callable[[T], str] = str,
    tolerate: tuple[type[Exception], ...] = (),
) -> T:
    """Look until ``accept`` has said yes ``successes`` times in a row; the accepted state is returned.

    Args:
        look: Reads the state; always called at least once, even when ``timeout_s`` is 0.
        accept: Whether that state is the one waited for.
        what: What is waited for, for the error: "<what> within 10s: <last state>".
        timeout_s: The bound, in seconds of the monotonic clock; a look that blocks is not interrupted. What is reached
            by then is seen, however late: the last look begins when the time is over.
        every_s: Pause between two looks, in seconds.
        successes: How many looks in a row must be accepted.
        show: Renders the last state for the error.
        tolerate: Errors of ``look`` that count as "not yet"; others pass through.

    Raises:
        TimedOut: With the last state, or the last tolerated error.
    """
    deadline = time.monotonic() + timeout_s
    row, last = 0, "nothing was seen"
    while True:
        late = time.monotonic() >= deadline
        try:
            state = look()
        except tolerate as error:
            row, last = 0, str(error)
        else:
            row, last = (row + 1, "") if accept(state) else (0, show(state))
            if row >= successes:
                return state
        if late:
            last = last or f"accepted {row} of {successes} times"
            raise TimedOut(f"{what} within {timeout_s:g}s: {last}", last=last)
        time.sleep(max(0.0, min(every_s, deadline - time.monotonic())))
