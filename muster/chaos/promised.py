"""What the experiment being recorded promises, and the bounds that follow for its probes."""

from __future__ import annotations

from typing import Any

from muster.chaos import story
from muster.chaos.context import Place
from muster.chaos.over import awaited_s
from muster.errors import MusterError
from muster.system.units import parse_duration
from muster.timeline import Kind

UNPROMISED = "20s"  # where neither file nor promise says how long


def told_story() -> story.Story:
    """The story being told. Raises MusterError outside a recorded experiment."""
    told = story.current()
    if told is None:
        raise MusterError("nothing records this experiment: its file needs the control muster.chaos.recorder")
    return told


def begun(key: str, default: Any) -> Any:
    """What ``drill.started`` holds."""
    event = told_story().timeline().first(Kind.DRILL_STARTED)
    return event.data.get(key, default) if event else default


def expected(key: str, default: Any) -> Any:
    """One of the experiment's objectives."""
    return begun("expected", {}).get(key, default)


def bound_s(limit: str, within: str) -> float:
    """For how long to wait: ``within``, else what is promised, each over what that limit counts over here."""
    if story.current() is None:
        return parse_duration(within or UNPROMISED)
    promised = expected(f"{limit}_s", None)
    own = parse_duration(within or UNPROMISED) if within or promised is None else float(promised)
    return own + float(begun("over_s", {}).get(limit, 0.0))


def over_of(where: Place, kind: Kind, alert: str) -> float:
    """Seconds that such an event may take in this environment by what is physical; ``alert``: by all its windows."""
    takes_s = where.env.scaled(float(expected("takes_s", 0.0)))
    if alert:
        return takes_s + awaited_s(where.system, where.env, alert)
    over: dict[str, float] = begun("over_s", {})
    named = {
        Kind.PAGE_RECEIVED: over.get("page_within", 0.0),
        Kind.ROLLBACK_PROVEN: over.get("rollback_within", 0.0),
        Kind.CONTAINER_ENDED: takes_s,
    }
    return float(named.get(kind, 0.0))
