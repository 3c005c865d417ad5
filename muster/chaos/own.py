"""What this process has injected, and its last heal: whatever the end, nothing of its own stays broken.

Rollbacks heal as a rule. They are not played when a signal comes between a method and them, when SIGUSR2 skips them,
when something is raised where Chaos Toolkit expects nothing. Then this does it: at the end of each recorded experiment,
at the end of a session of them, and, where even those were cut short, when the interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from muster.chaos.patience import patience
from muster.errors import MusterError
from muster.faults import Ledger, LedgerError, heal
from muster.kube import Kube, KubeError, load_access
from muster.system import Environment
from muster.wait import TimedOut, wait_until

BACK_WITHIN_S = 30.0  # then the record stays, for the watchdog and for `muster heal`
Say = Callable[[str], None]
_Away = dict[tuple[str, str | None], TimedOut]  # kubeconfig and context of an API that was waited for -> in vain


@dataclass(frozen=True)
class _Own:
    system: str
    env: Environment
    ledger: Ledger
    process: int


_kept: list[_Own] = []


def keep(system: str, env: Environment, ledger: Ledger) -> None:
    """Remember, before anything is injected, where this process may open faults; its end heals what is left there."""
    if not _kept:
        atexit.unregister(_at_exit)
        atexit.register(_at_exit)
    _kept.append(_Own(system, env, ledger, os.getpid()))


def heal_own(say: Say, *, last: bool = True) -> str:
    """Undo what this process has injected and nobody has undone yet; newest first.

    No signal cuts it short; one that came meanwhile is delivered when it is done.

    Args:
        say: Told what was done, a sentence for each fault.
        last: Whether this is the end: what could not be undone is then left to its watchdog and to ``muster heal``.

    Returns:
        Why something may be left, in one sentence; empty when nothing is.
    """
    with patience(say):
        away: _Away = {}
        failed = [why for own in reversed(_kept) if own.process == os.getpid() for why in _heal_at(own, say, away)]
        if last or not failed:
            _kept.clear()
    if not failed:
        return ""
    return f"not healed: {'; '.join(failed)}; its watchdog tries again when it expires, muster heal does so now"


def _heal_at(own: _Own, say: Say, away: _Away) -> list[str]:
    failed = []
    for record in own.ledger.mine():
        if isinstance(record, LedgerError):
            failed.append(str(record))
        elif record.open:
            try:
                failed += _heal_one(own, record.id, say, away)
            except MusterError as error:
                failed.append(f"fault {record.id}: {error}")
    return failed


def _heal_one(own: _Own, fault: str, say: Say, away: _Away) -> list[str]:
    source = own.env.kubernetes
    assert source is not None  # noqa: S101 - nothing is injected where there is no cluster
    with Kube(load_access(source.kubeconfig, source.context)) as kube:
        _await_once(kube, (source.kubeconfig, source.context), away)
        results = heal(own.ledger, kube, own.env, system=own.system, only=fault)
    for result in results:
        if result.ok:
            say(f"healed at the end: {result.message}")
    return [f"fault {result.id}: {result.message}" for result in results if not result.ok]


def _await_once(kube: Kube, api: tuple[str, str | None], away: _Away) -> None:
    """The wait is for the API, not for each fault: where it was in vain, it was so for all of them."""
    if api in away:
        raise away[api]
    try:
        await_api(kube)
    except TimedOut as error:
        away[api] = error
        raise


def await_api(kube: Kube) -> None:
    """A connection that is lost for a moment must not keep the fault: wait for it, within a bound."""
    wait_until(
        lambda: kube.get("/version"),
        lambda _: True,
        what="nothing could be healed, because the API server was out of reach",
        timeout_s=BACK_WITHIN_S,
        every_s=0.5,
        tolerate=(KubeError,),
    )


def _at_exit() -> None:
    """The interpreter's end: whoever should have healed was cut short. A failure must show in the exit code."""
    with patience(_say_last, deliver=lambda _: None):  # what a signal asks for is happening already
        failure = heal_own(_say_last)
    if failure:
        print(f"muster: {failure}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1)


def _say_last(words: str) -> None:
    print(f"muster: {words}", file=sys.stderr)
