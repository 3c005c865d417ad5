"""Probes of experiments: the steady state as the checks see it, and waits for what must happen.

Chaos Toolkit has no retry-until-met, so a probe that waits polls within a bound of its own. Where the experiment
promises a time, that is the bound; bounds count over what promises count over (``chaos.over``) and over all that an
alert's windows take, in the environment, so that one experiment file holds in each.
"""

from __future__ import annotations

import time
from typing import Any

from muster.chaos import shared, story
from muster.chaos import steady as looks
from muster.chaos.context import Configuration, Place, place
from muster.chaos.heard import hear_of_the_symptom
from muster.chaos.promised import begun, bound_s, expected, over_of, told_story
from muster.chaos.visible import seen_at
from muster.judge.chain import start
from muster.judge.link import since_injection
from muster.judge.served import View, soonest
from muster.judge.silence import following, missed_s
from muster.judge.symptoms import failed
from muster.release import Monitor
from muster.system.units import parse_duration
from muster.timeline import Event, Kind
from muster.verdict import Verdict
from muster.wait import TimedOut, wait_until

HELD = (Verdict.PASS, Verdict.WARN)


def steady(checks: str = "", within: str = "15s", configuration: Configuration = None) -> bool:
    """Whether the checks (a ``-k`` expression; empty: all) hold on a fresh snapshot, tried until ``within``.

    In a session the look that ended the experiment before begins this one, while it is fresh and nothing was broken.
    """
    known = None if checks else shared.remembered()
    if known is not None:
        story.tell(Kind.STEADY, source="checks", at=known.at, message=known.message, verdict=known.verdict.value)
        return True
    return _steady(place(configuration), checks, within)


FRESH_S = 3.0  # a look that held is this old at most when users are found well


def recovered(checks: str = "", within: str = "", after: str = "", configuration: Configuration = None) -> bool:
    """The same, and the first snapshot that held is when the system had recovered; users must be well by then, too.

    ``within``: empty for what the experiment promises by ``recovered_within``.

    Those of an experiment that has any, for the last full seconds before that instant (``judge.served``): where they
    are not yet, it is the first instant at which they are, within ``FRESH_S`` of such a look.

    Where the event ``after`` (such as ``rollback.proven``) never happened nothing is waited for: one look is all.
    The responder's word on whether its rollback helped is heard before the experiment goes on.
    """
    where = place(configuration)
    held = _recovered(where, checks, within, after)
    if story.current() is not None and expected("action", "none") == "rollback":
        hear_of_the_symptom(told_story(), where.env, alert=str(expected("alert", "")))
    return held


def _recovered(where: Place, checks: str, within: str, after: str) -> bool:
    timeout_s = bound_s("recovered_within", within)
    if after and told_story().timeline().first(Kind(after)) is None:
        timeout_s = 0.0
    have_users = story.current() is not None and expected("load", None) is not None
    last: looks.Look | None = None

    def both() -> tuple[looks.Look, View]:
        nonlocal last
        if last is None or last.verdict not in HELD or time.time() - last.at > FRESH_S:
            last = _look(where, checks)
        users = soonest(told_story().timeline(), last.at) if have_users else View(at=last.at, well=True, said="")
        return last, users

    try:
        seen, users = wait_until(
            both,
            lambda now: now[0].verdict in HELD and bool(now[1].well),
            what="the steady state was not seen",
            timeout_s=timeout_s,
            every_s=0.05,  # a look takes long enough, and users' seconds are told soon after their end
            show=lambda now: now[0].message if now[0].verdict not in HELD else now[1].said,
        )
    except TimedOut:
        return False
    message = "; ".join(filter(None, (seen.message, users.said)))
    story.tell(Kind.RECOVERED, source="checks", at=users.at, message=message)
    _remember(seen, checks)
    return True


def _steady(where: Place, checks: str, within: str) -> bool:
    try:
        seen = wait_until(
            lambda: _look(where, checks),
            lambda seen: seen.verdict in HELD,
            what="the steady state was not seen",
            timeout_s=parse_duration(within),
            every_s=0.0,  # a look takes long enough: users may be served again since
            show=lambda seen: seen.message,
        )
    except TimedOut:
        return False
    _remember(seen, checks)
    return True


def _remember(seen: looks.Look, checks: str) -> None:
    if not checks:
        shared.remember(seen)


def _look(where: Place, checks: str = "", *, chain: bool = False) -> looks.Look:
    """One look, told with what it could not judge and with each check that failed."""
    seen = looks.look(where.system.name, where.env.name, checks, chain=chain)
    story.tell(
        Kind.STEADY,
        source="checks",
        at=seen.at,
        message=seen.message,
        verdict=seen.verdict.value,
        judged=seen.judged,
        unknown=list(seen.unknown),
        asked=[check for check in (*expected("unknown", ()), *expected("finds", ())) if check in seen.names],
    )
    return seen


def found(within: str = "", configuration: Configuration = None) -> bool:
    """Look at all checks until each that the experiment's ``finds`` names has failed with the words it gives.

    ``within``: empty for what the experiment promises by ``finds_within``. Each failure is told once. What it takes is
    in the experiment's objectives, so that nothing is said twice.
    """
    where, told = place(configuration), told_story()
    wanted = expected("finds", {})
    seen: set[tuple[str, str]] = set()

    def look() -> list[str]:
        looked = _look(where)
        for check, message in looked.failed.items():
            if (check, message) not in seen and check in wanted:
                story.tell(Kind.CHECK_FAILED, source="checks", at=looked.at, message=f"{check}: {message}", check=check)
            seen.add((check, message))
        after = since_injection(told.timeline())
        return [check for check, words in wanted.items() if failed(told.timeline(), check, words, after) is None]

    try:
        wait_until(
            look,
            lambda missing: not missing,
            what="not every expected check failed",
            timeout_s=bound_s("finds_within", within),
            show=", ".join,
        )
    except TimedOut:
        return False
    return True


def unknowable(within: str = "10s", configuration: Configuration = None) -> bool:
    """Look at all checks until each that the experiment's ``unknown`` names says that it does not know.

    Every look counts for the judge: a check that passed meanwhile, though it could not know, has lied.
    """
    where, wanted = place(configuration), set(expected("unknown", ()))
    try:
        wait_until(
            lambda: _look(where, chain=True),  # what is away may be of the chain itself
            lambda seen: wanted <= set(seen.unknown),
            what="not every check said that it does not know",
            timeout_s=parse_duration(within),
            show=lambda seen: ", ".join(sorted(wanted - set(seen.unknown))),
        )
    except TimedOut:
        return False
    return True


def outlasted(within: str = "60s", configuration: Configuration = None) -> bool:
    """Wait until the fault was there so long that the alert that the experiment's ``outlast`` names would have told."""
    told, env = told_story(), place(configuration).env
    needed_s = float(begun("outlast_s", 0.0))
    alert, timeout_s = str(expected("alert", "")), parse_duration(within) + needed_s
    with Monitor(env) as monitor:
        try:
            wait_until(
                lambda: seen_at(told, env, monitor, alert=alert) + needed_s - time.time(),
                lambda left_s: left_s <= 0,
                what="outlast",
                timeout_s=timeout_s,
                every_s=0.25,
            )
        except TimedOut:
            return False
    return True


def happened(
    event: str, within: str = "30s", window_of: str = "", configuration: Configuration = None, **data: Any
) -> bool:
    """Wait until the timeline holds such an event since the fault, ``within`` over what it may take here.

    That is all the windows of alert ``window_of``, where one is named; else a warning's group wait for a page, a
    rollout for a proven rollback, and the fault's own nature (``takes``) for the end of a container.

    ``data`` narrows it down: ``happened("page.received", contact="on-call")``. A rollback that the responder has
    refused for good, or leaves to others, is not waited for.
    """
    told, kind = told_story(), Kind(event)
    where = place(configuration)
    over = over_of(where, kind, window_of)

    def look() -> Event | None:
        timeline = told.timeline()
        fault = timeline.first(Kind.FAULT_INJECTED)
        after = fault.at if fault else 0.0
        seen = timeline.first(kind, after=after, **data)
        if seen is not None or kind is not Kind.ROLLBACK_PROVEN:
            return seen
        refused = timeline.first(Kind.DECIDED, after=after, decision="refuse", final=True)
        return refused or timeline.first(Kind.DECIDED, after=after, decision="would roll back")

    try:
        seen = wait_until(look, bool, what=event, timeout_s=parse_duration(within) + over, show=lambda _: "not yet")
    except TimedOut:
        return False
    return seen is not None and seen.kind is kind


def quiet(lasting: str = "1s", within: str = "15s") -> bool:
    """Wait until no alert of the system that may follow from the fault is open, and none has been for ``lasting``.

    Where something must not follow, until the slowest alert that might do it would have told, and was listened to for
    so long. It only waits: whether the silence was long enough, and which open alert spoils it, is the judge's to say.
    """
    told, lasting_s = told_story(), parse_duration(lasting)
    listen_s = max(begun("listen_s", {}).values(), default=0.0)

    def awaited() -> list[str]:
        timeline = told.timeline()
        slowest_at = start(timeline) + listen_s + missed_s(timeline) if listen_s else 0.0
        return list(following(timeline)) or ["the slowest alert may yet come"] * (slowest_at > time.time())

    every_s = 0.25
    try:
        wait_until(
            awaited,
            lambda names: not names,
            what="alerts were still open",
            timeout_s=bound_s("recovered_within", within) + lasting_s + listen_s + missed_s(told.timeline()),
            every_s=every_s,
            successes=max(1, round(lasting_s / every_s)),
            show=", ".join,
        )
    except TimedOut:
        return False
    return True
