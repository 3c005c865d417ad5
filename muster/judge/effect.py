"""Whether a bad release did anything bad: nobody knows what a service makes of the variables that it is given."""

from __future__ import annotations

from typing import Any

from muster.judge.link import since_injection
from muster.judge.served import ill_share
from muster.system.units import Unit, show
from muster.timeline import Kind, Timeline

MOST = 0.5  # of the seconds: a rollout spoils some by itself, a release that is bad spoils most
# Pending is none: while Prometheus discovers the pods of any rollout, "down" and "absent" are pending for a moment.
_SIGNS = (Kind.ALERT_FIRING, Kind.CHECK_FAILED, Kind.CONTAINER_ENDED)
_ENDS = (Kind.ROLLBACK_STARTED, Kind.HEALED, Kind.DRILL_ENDED)


def without_effect(timeline: Timeline) -> str:
    """Why a release that runs is not known to be bad; empty where it showed itself, or where nobody looked.

    It shows itself by any alert that fires, by a check that fails or a container that ends, by users who are served
    badly most of the time, or by the indicator of the expected alert, which crossed its limit.
    """
    after = since_injection(timeline)
    notes = [event for event in timeline.of(Kind.NOTE) if "effect" in event.data]
    confirmed, injected = timeline.first(Kind.FAULT_CONFIRMED), timeline.first(Kind.FAULT_INJECTED)
    if not notes or confirmed is None or injected is None:
        return ""
    if any(timeline.first(kind, after=after) for kind in _SIGNS):
        return ""
    until = min((event.at for event in timeline.of(*_ENDS) if event.at > confirmed.at), default=float("inf"))
    ill = ill_share(timeline, confirmed.at, until)
    measured = _indicator(notes[-1].data["effect"])
    if measured is None or (ill is not None and ill >= MOST):
        return ""
    users = "nobody counted users" if ill is None else "users were well most of the time"
    return (
        f"{injected.message or 'the release is out'}, and its pods run it, but nothing shows that it is bad: {measured}"
        f"{users}; what its service makes of that is not known, so nothing was tested (docs/drill.md, Your own service)"
    )


def _indicator(effect: dict[str, Any]) -> str | None:
    """What the indicator was at its worst; empty where no alert is expected, None where it is no such reason."""
    if not effect:
        return ""
    if "error" in effect:
        return None
    worst, bound, unit = effect["worst"], float(effect["bound"]), Unit(effect["unit"])
    if worst is None:
        return f"{effect['slo']} has no samples, "
    if worst > bound if effect["above"] else worst < bound:
        return None
    held = f" for {effect['held_s']:g} s together" if "held_s" in effect else ""
    return f"{effect['slo']} was {show(worst, unit)} at its worst{held} (limit {show(bound, unit)}), "
