"""Probes of experiments: the steady state as the checks see it, and waits for what must happen.

Chaos Toolkit has no retry-until-met, so a probe that waits polls within a bound of its own. Durations are over the
alert's own window, at the environment's time scale, so that one experiment file holds in every environment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muster.chaos import steady as looks
from muster.chaos import story
from muster.chaos.context import Configuration, Place, place
from muster.errors import MusterError
from muster.judge.objectives import Objectives, window_s
from muster.system.units import parse_duration
from muster.timeline import Event, Kind
from muster.verdict import Verdict
from muster.wait import TimedOut, wait_until

HELD = (Verdict.PASS, Verdict.WARN)


def steady(checks: str = "", within: str = "15s", configuration: Configuration = None) -> bool:
    """Whether the checks (a ``-k`` expression; empty: all) hold on a fresh snapshot, tried until ``within``."""
    return _steady(place(configuration), checks, within, lambda _: None)


def recovered(checks: str = "", within: str = "20s", after: str = "", configuration: Configuration = None) -> bool:
    """The same, and the first snapshot that held is when the system had recovered.

    Where the event ``after`` (such as ``rollback.proven``) never happened nothing is waited for: one look is all.
    """
    if after and _story().timeline().first(Kind(after)) is None:
        within = "0s"

    def tell(look: looks.Look) -> None:
        story.tell(Kind.RECOVERED, source="checks", at=look.at, message=look.message)

    return _steady(place(configuration), checks, within, tell)


def _steady(where: Place, checks: str, within: str, held: Callable[[looks.Look], None]) -> bool:
    def look() -> looks.Look:
        seen = looks.look(where.system.name, where.env.name, checks)
        story.tell(Kind.STEADY, source="checks", at=seen.at, message=seen.message, verdict=seen.verdict.value)
        return seen

    try:
        seen = wait_until(
            look,
            lambda seen: seen.verdict in HELD,
            what="the steady state was not seen",
            timeout_s=parse_duration(within),
            show=lambda seen: seen.message,
        )
    except TimedOut:
        return False
    held(seen)
    return True


def happened(
    event: str, within: str = "30s", window_of: str = "", configuration: Configuration = None, **data: Any
) -> bool:
    """Wait until the timeline holds such an event since the fault, ``within`` over the window of alert ``window_of``.

    ``data`` narrows it down: ``happened("page.received", contact="on-call")``.
    """
    told, kind = _story(), Kind(event)
    where = place(configuration)
    window = window_s(Objectives(alert=window_of), where.system, where.env.time_scale) if window_of else 0.0

    def look() -> Event | None:
        timeline = told.timeline()
        fault = timeline.first(Kind.FAULT_INJECTED)
        return timeline.first(kind, after=fault.at if fault else 0.0, **data)

    try:
        wait_until(look, bool, what=event, timeout_s=parse_duration(within) + window, show=lambda _: "not yet")
    except TimedOut:
        return False
    return True


def quiet(lasting: str = "3s", within: str = "30s") -> bool:
    """Wait until no alert of the system is pending or firing, and none has been for ``lasting``."""
    told, lasting_s = _story(), parse_duration(lasting)

    def open_alerts() -> list[str]:
        state: dict[str, Kind] = {}
        for event in told.timeline().of(Kind.ALERT_PENDING, Kind.ALERT_FIRING, Kind.ALERT_RESOLVED):
            state[str(event.data.get("alert"))] = event.kind
        return sorted(name for name, kind in state.items() if kind is not Kind.ALERT_RESOLVED)

    every_s = 0.25
    try:
        wait_until(
            open_alerts,
            lambda names: not names,
            what="alerts were still open",
            timeout_s=parse_duration(within) + lasting_s,
            every_s=every_s,
            successes=max(1, round(lasting_s / every_s)),
            show=", ".join,
        )
    except TimedOut:
        return False
    return True


def _story() -> story.Story:
    told = story.current()
    if told is None:
        raise MusterError("nothing records this experiment: its file needs the control muster.chaos.recorder")
    return told
