"""Signals wait while something is healed: a second Ctrl-C would only leave something broken. None of them is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from muster import ending


class _Patient:
    """The handler: answers in words, and remembers."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.received: set[signal.Signals] = set()

    def __call__(self, number: int, _frame: object) -> None:
        self.received.add(signal.Signals(number))
        self._say("healing first; this takes a few seconds")


@contextmanager
def patience(
    say: Callable[[str], None], *, deliver: Callable[[signal.Signals], None] = signal.raise_signal
) -> Iterator[set[signal.Signals]]:
    """Let SIGTERM, SIGHUP and SIGINT wait until what is done here, which is bounded, is done; then deliver what came.

    Within another one it adds nothing: the outer one delivers. An exception that leaves it ends what a signal would
    have ended, and must not be hidden behind it; then nothing is delivered. Does nothing outside the main thread.

    Args:
        say: Told, for each signal, that it has to wait.
        deliver: What is done with it at last, when the handlers are those of before again.

    Yields:
        The signals that wait, as they come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield set()
        return
    outer = signal.getsignal(signal.SIGINT)
    if isinstance(outer, _Patient):
        yield outer.received
        return
    patient = _Patient(say)
    waiting = (*ending.signals(), signal.SIGINT)  # in the order in which they are delivered: only one of them is
    before = {number: signal.signal(number, patient) for number in waiting}
    try:
        yield patient.received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in waiting:
        if number in patient.received:
            deliver(number)
            return
