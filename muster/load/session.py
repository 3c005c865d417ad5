"""One load run from start to end: Locust runs, seconds come in, whatever happens they are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from muster.judge.seconds import LoadRun, LoadSecond
from muster.load.history import Tail
from muster.load.plan import Plan
from muster.load.run import FIGURES, JOIN_S, START_S, Load, LoadError
from muster.system import Environment

DRAIN_S = 25.0  # for the last answers, the last reports and Locust's own end
LOOK_S = 0.1
INTERRUPTED = "it was interrupted"
Told = Callable[[LoadSecond], None]
Shown = Callable[[LoadRun], str]


def never(_: LoadRun) -> str:
    """A run that is not ended before its schedule."""
    return ""


def run(
    env: Environment,
    plan: Plan,
    folder: Path,
    *,
    workers: int = 1,
    listen: str = "",
    told: Told = lambda _: None,
    shown: Shown = never,
    on_start: Callable[[Load], None] | None = None,
) -> LoadRun:
    """Follow the plan and return what was recorded. Ctrl-C ends it; what was recorded until then is kept.

    Args:
        env: Where load goes; its guard is asked.
        plan: What is sent.
        folder: For the plan, Locust's log and the figures.
        workers: Processes of this machine that share the load.
        listen: Where workers on other machines join instead, ``host:port``; empty for none.
        told: Called with each second as soon as it is known.
        shown: Asked with what was recorded so far; a phrase says that it shows enough, and ends the run.
        on_start: Called with the running load.

    Raises:
        UsageError: The environment does not allow it.
        LoadError: Locust could not be started, or ended without having measured anything.
    """
    load = Load.follow(env, plan, folder=folder, workers=workers, listen=listen)
    tail, seconds, partial, enough = Tail(folder / FIGURES), list[LoadSecond](), "", ""

    def look() -> bool:
        news = False
        for second in tail.new():
            seconds.append(second)
            told(second)
            news = True
        return news

    def so_far() -> LoadRun:
        return LoadRun(
            steps=plan.steps,
            warm_up_s=plan.warm_up_s,
            most_users=plan.most_users,
            workers=workers,
            seconds=seconds,
            partial=partial,
            enough=enough,
        )

    try:
        if on_start is not None:
            on_start(load)
        latest = time.monotonic() + (JOIN_S if listen else START_S) + plan.duration_s + DRAIN_S
        while load.ended is None and not enough and time.monotonic() < latest:
            if look():
                enough = shown(so_far())
            time.sleep(LOOK_S)
        partial = "" if enough else _why(load, seconds)
    except KeyboardInterrupt:
        partial = INTERRUPTED
    finally:
        load.stop()
    look()
    if not seconds and partial != INTERRUPTED:
        raise LoadError(partial or f"Locust measured nothing{load.last_words()}")
    return so_far()


def _why(load: Load, seconds: Sequence[LoadSecond]) -> str:
    """Why it ended other than by its plan; empty when it ended as it should."""
    if load.ended is None:
        return f"the load generator did not end{load.last_words()}"
    if load.ended != 0:
        return f"the load generator died with exit code {load.ended}{load.last_words()}"
    return "" if seconds else f"the load generator measured nothing{load.last_words()}"
