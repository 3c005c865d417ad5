"""What the experiments of one session share: the users that keep coming, and the last look at the steady state.

Users take two seconds to gather and a look takes one and a half; in a session of ten experiments that is half a minute
in which nothing is proven. A plain ``chaos run`` has no session, and everything is its experiment's own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from muster.chaos import leftovers, needs
from muster.chaos.exclusive import Exclusive
from muster.chaos.steady import Look
from muster.chaos.whole import Whole
from muster.errors import MusterError
from muster.judge.objectives import LoadOrder
from muster.load import Load
from muster.load.allowed import allowed_time
from muster.system import Environment

FiredBefore = dict[str, frozenset[frozenset[tuple[str, str]]]]  # source -> labels of others' critical alerts

FRESH_S = 10.0  # a look older than this says nothing about now
LIMIT_S = 1800.0  # a session's users stay no longer, unless one experiment needs them to


@dataclass
class Session:
    """The state of one session. Not for several threads: experiments run one after another."""

    folder: Path
    load: Load | None = None
    order: LoadOrder | None = None
    until: float = 0.0  # monotonic: when they leave by themselves
    look: Look | None = None
    whole: Whole | None = None  # the drill's own timeline, once it is known what belongs to it
    alone: ExitStack = field(default_factory=ExitStack)
    fired_before: FiredBefore = field(default_factory=dict)  # when the session began

    def users(self, env: Environment, order: LoadOrder, *, needed_s: float) -> Load:
        """Users as ordered: those that are here, where it is the same order and they are well, else new ones.

        Those that would leave before the ``needed_s`` seconds of the next experiment are over are replaced, too.

        Raises :class:`~muster.load.LoadError` and :class:`~muster.errors.UsageError` as :meth:`Load.start` does.
        """
        left_s = self.until - time.monotonic()
        if self.load is None or self.order != order or self.load.failure() or left_s < needed_s:
            self.dismiss()
            wanted_s = needs.wanted_s(needed_s, at_least_s=LIMIT_S)
            limit_s = allowed_time(env, rate=order.rate, needed_s=needed_s, wanted_s=wanted_s)
            self.until = time.monotonic() + limit_s  # before they begin: rather too early than too late
            self.load = Load.start(env, rate=order.rate, users=order.users, folder=self.folder, limit_s=limit_s)
            self.order = order
        self.load.wait_flowing()
        for _ in self.load.new_seconds():  # those before this experiment are not its story
            pass
        return self.load

    def dismiss(self) -> None:
        """Send the users away."""
        if self.load is not None:
            self.load.stop()
        self.load, self.order = None, None


_sessions: list[Session] = []


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """Share between all experiments until the end; the users' figures and log go to ``folder``."""
    shared = Session(folder)
    _sessions[:] = [shared]
    try:
        yield shared
    finally:
        _sessions.clear()
        try:
            shared.dismiss()
        finally:
            shared.alone.close()


_alone: list[Exclusive] = []


def _say(words: str) -> None:
    print(f"muster: {words}", file=sys.__stderr__, flush=True)  # pytest may be capturing the other


@contextmanager
def alone(system: str, env: Environment, *, say: Callable[[str], None] = _say) -> Iterator[Exclusive]:
    """Keep other drills out for a while; within a while that has begun in this process, it is that one.

    Where it begins, what earlier drills have left there is undone first; ``say`` is told of it.

    Raises as :class:`~muster.chaos.exclusive.Exclusive` and :func:`~muster.chaos.leftovers.clear` do, and MusterError
    when it is not held any more.
    """
    if _alone:
        if _alone[0].lost:
            raise MusterError(_alone[0].lost)
        yield _alone[0]
        return
    with Exclusive(system, env) as held:
        leftovers.clear(system, env, say)
        _alone[:] = [held]
        try:
            yield held
        finally:
            _alone.clear()


def current() -> Session | None:
    """The session, or None outside of one."""
    return _sessions[0] if _sessions else None


def remember(look: Look) -> None:
    """A full look that held may serve once more, as long as nothing is broken after it."""
    if _sessions:
        _sessions[0].look = look


def forget() -> None:
    """Something was broken: the next look is a new one."""
    if _sessions:
        _sessions[0].look = None


def remembered() -> Look | None:
    """The last full look, if it held, is fresh, and nothing was broken since."""
    look = _sessions[0].look if _sessions else None
    return look if look is not None and time.time() - look.at <= FRESH_S else None
