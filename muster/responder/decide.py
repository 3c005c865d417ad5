"""Whether to roll back: a table of reasons to refuse, each a pure function of the situation.

A new reason is a field of :class:`Situation`, a function and a line in ``REASONS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from muster.release import Known, Release
from muster.responder.compare import Comparison
from muster.responder.lock import Last
from muster.responder.webhook import Alert
from muster.system import Environment, System
from muster.system.promql import CANARY, RELEASE
from muster.system.units import duration

DAY_S = 86400.0  # at true scale
UNDER_WAY, UNKNOWN = "under way", "unknown"  # refusals that are looked at again by themselves
_CLOCK_MARGIN_S = 1.0  # timestamps of pods are whole seconds


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that a decision stands on."""

    alert: Alert
    now: float  # seconds since the epoch
    current: Release
    previous: Release | None
    obstacle: str  # why the undo itself would not help (see muster.release.obstacle), or ""
    lock_holder: str  # another holder of the lock, or ""
    last: Last | None  # the last rollback here
    cool_down_s: float  # at this environment's time scale
    fault_began: float | None  # when the alert's condition began to hold; None when the alert is not one of the facts
    known: dict[str, Known]  # what is remembered of releases, by template hash
    begun: tuple[float, ...] = ()  # when rollbacks were begun here
    most_per_day: int = 1000
    day_s: float = DAY_S  # at this environment's time scale
    frozen: str = ""  # why nothing may be changed now, or ""
    served_since: float = 0.0  # since when the current release serves users; 0: cannot be told
    release_margin_s: float = float("inf")  # at this environment's time scale
    comparison: Comparison | None = None  # None: not made yet
    work_s: float = 0.0  # the longest that somebody else's rollback takes, in real seconds


@dataclass(frozen=True)
class Refusal:
    """Why not. A passing reason (a lock, a cool-down) leaves the alert open: decided anew at its next repetition."""

    name: str
    message: str
    passing: bool
    ends_at: float = 0.0  # when the reason is due to end, seconds since the epoch; 0: that is not known


def misdirected(alert: Alert, system: System, env: Environment) -> str:
    """Why an alert is not this responder's business, or ""; asked before anything is read."""
    for label, mine in (("system", system.name), ("environment", env.name)):
        named = alert.labels.get(label, "")
        if not named and not env.rollback.take_unlabelled:
            return f"the alert names no {label}, so whether it is of {mine} is not known (rollback.take_unlabelled)"
        if named and named != mine:
            return f"the alert is of {label} {named}, this responder acts for {mine}"
    if of_canary(alert) and env.rollback.canary is None:
        return f"the alert is of a canary, and environment {env.name} declares none"
    return ""


def of_canary(alert: Alert) -> bool:
    """Whether the alert speaks of the canary alone: then it is the canary that goes, and nothing else."""
    return alert.labels.get(RELEASE) == CANARY


def fault_began(alert: Alert, system: System, env: Environment) -> float | None:
    """When the alert's condition began to hold: its start less its own waiting time (``for``), at this time scale."""
    fact = system.alerts.get(alert.name)
    limit = system.slo[fact.slo].limit(fact.level) if fact else None
    if fact is None or limit is None:
        return None
    return alert.started - env.scaled(limit.for_s if fact.for_s is None else fact.for_s)


def _under_way(now: Situation) -> str:
    return f"a rollback is already under way, held by {now.lock_holder}" if now.lock_holder else ""


def _acted_on(now: Situation) -> str:
    if now.last is None or now.last.key != now.alert.key:
        return ""
    return f"a rollback for this very alert was begun {now.now - now.last.at:.0f}s ago and ended {now.last.verdict}"


def _cooling_down(now: Situation) -> str:
    if now.last is None or now.now >= _cool_at(now):
        return ""
    return (
        f"revision {now.last.from_revision} was rolled back {now.now - now.last.at:.0f}s ago, "
        f"and the cool-down is {now.cool_down_s:g}s"
    )


def _cool_at(now: Situation) -> float:
    """When the cool-down ends."""
    return now.last.at + now.cool_down_s if now.last else 0.0


def _worked_at(now: Situation) -> float:
    """When a rollback under way has ended, at the latest."""
    return now.now + now.work_s


def _too_often(now: Situation) -> str:
    today = [at for at in now.begun if now.now - at < now.day_s]
    if len(today) < now.most_per_day:
        return ""
    return (
        f"{len(today)} rollbacks were begun within {duration(round(now.day_s))}, and most_per_day is "
        f"{now.most_per_day}: rolling back again and again heals nothing"
    )


def _frozen(now: Situation) -> str:
    return now.frozen


def _no_way_back(now: Situation) -> str:
    return now.obstacle


def _back_to_bad(now: Situation) -> str:
    known = now.known.get(now.previous.template_hash) if now.previous else None
    if known is None or not known.rolled_back_at:
        return ""
    return f"the previous revision {now.previous.revision if now.previous else 0} is one that was rolled back itself"


def _older_than_release(now: Situation) -> str:
    if now.fault_began is None or not now.current.created:
        return ""
    early_s = now.current.created - now.fault_began
    if early_s <= _CLOCK_MARGIN_S:
        return ""
    return f"the fault began {early_s:.0f}s before revision {now.current.revision} was released, so it is not its fault"


def _served_well(now: Situation) -> str:
    if now.fault_began is None or not now.served_since:
        return ""
    well_s = now.fault_began - now.served_since
    if well_s <= now.release_margin_s:
        return ""
    return (
        f"revision {now.current.revision} had served well for {duration(round(well_s))} when the fault began, and "
        f"release_margin is {duration(round(now.release_margin_s, 3))} here: the release is not the cause"
    )


def _suffers_as_much(now: Situation) -> str:
    if now.comparison is None or now.comparison.blames is not False:
        return ""
    return f"{now.comparison.message}: it is not this release's fault, and going back would not help"


@dataclass(frozen=True)
class _Reason:
    name: str
    applies: Callable[[Situation], str]
    passing: bool = False
    ends_at: Callable[[Situation], float] = lambda _now: 0.0  # of a passing one that is due to end


REASONS: tuple[_Reason, ...] = (
    _Reason(UNDER_WAY, _under_way, passing=True, ends_at=_worked_at),
    _Reason("acted on", _acted_on),
    _Reason("cool-down", _cooling_down, passing=True, ends_at=_cool_at),
    _Reason("too often", _too_often, passing=True),
    _Reason("freeze", _frozen, passing=True),
    _Reason("no way back", _no_way_back),
    _Reason("previous was bad", _back_to_bad),
    _Reason("older than the release", _older_than_release),
    _Reason("served well", _served_well),
    _Reason("baseline suffers", _suffers_as_much, passing=True),
)


def refusal(situation: Situation) -> Refusal | None:
    """The first reason that applies, or None: then roll back."""
    for reason in REASONS:
        message = reason.applies(situation)
        if message:
            return Refusal(reason.name, message, reason.passing, reason.ends_at(situation))
    return None
