"""What proves that an alert had nothing to say of a fault: the fault outlasted it, or its indicator was seen well.

An alert is silent about anything that is over before its windows are. So its silence counts only where the fault was in
force for as long as it may take to tell, or where Prometheus measured what it stands on while the fault was in force
(data, and on the right side of its limit). Neither: nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from muster.judge.chain import visible
from muster.judge.lasting import ended
from muster.judge.link import since_injection
from muster.judge.objectives import Forbidden, Objectives
from muster.system.units import Unit, show
from muster.timeline import Event, Kind, Timeline

EVALUATIONS = 6  # so many that were missed in a row say nothing yet: a machine has other things to do

Values = Sequence[tuple[float, float]]  # seconds since the epoch, value


@dataclass(frozen=True, kw_only=True)
class Silent:
    """One alert that might have acted; ``unknown`` says why its silence proves nothing, else the others why it does."""

    alert: str
    fired: bool = False  # it had its say, and nothing came of it
    by_s: float | None = None  # the fault outlasted it by so many seconds
    well: tuple[str, float, str] | None = None  # indicator, its limit, and how it was seen
    unknown: str = ""


def in_words(alerts: Sequence[Silent]) -> str:
    """What each rests on; of an indicator that several alerts stand on, the strictest limit says it for all."""
    strictest: dict[str, tuple[float, str]] = {}
    for slo, bound, said in (alert.well for alert in alerts if alert.well is not None):
        strictest[slo] = min(strictest.get(slo, (bound, said)), (bound, said))
    parts = {
        "fired and did not": [alert.alert for alert in alerts if alert.fired],
        "outlasted": [f"{alert.alert} by {alert.by_s:.1f} s" for alert in alerts if alert.by_s is not None],
        "seen well": [f"{slo} {said}" for slo, (_, said) in strictest.items()],
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)


def silent(timeline: Timeline, objectives: Objectives, what_not: Forbidden) -> list[Silent] | None:
    """Every alert that might have done it, one by one; None where the recording does not say which might."""
    began = timeline.first(Kind.DRILL_STARTED)
    told = (began.data.get("may_act") or {}).get(what_not) if began else None
    if began is None or told is None:
        return None
    over = ended(timeline, objectives)
    since, until = visible(timeline, objectives), over.at if over is not None else float("-inf")
    if objectives.killed:
        since = since_injection(timeline)
    lost, values = _measured(timeline)
    every_s = float(began.data.get("evaluation_s") or 0.0)
    scrape_s = float(began.data.get("scrape_s") or 0.0)
    return [
        _one(
            _Facts.of(alert, facts),
            timeline,
            what_not,
            unheard=bool(objectives.breaks),
            lost=lost,
            values=values.get(str(facts["slo"]), ()),
            span=(since, until),
            settle_s=every_s + 2 * scrape_s,
            every_s=every_s,
        )
        for alert, facts in told.items()
    ]


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What ``drill.started`` says of one alert; seconds of real time."""

    alert: str
    slo: str
    bound: float
    below: bool  # whether it is the small values that are bad
    unit: Unit
    window_s: float
    told_s: float  # the most from a fault that can be measured until it tells
    notified_s: float  # of that, the most from when it fires
    adds_up: bool  # whether the part of a window that the fault fills shows that part of the whole

    @classmethod
    def of(cls, alert: str, facts: Mapping[str, Any]) -> _Facts:
        return cls(alert=alert, **{**facts, "unit": Unit(facts["unit"])})

    def well(self, value: float) -> bool:
        return value >= self.bound if self.below else value <= self.bound

    def show(self, value: float) -> str:
        return show(value, self.unit)


def _one(
    facts: _Facts,
    timeline: Timeline,
    what_not: Forbidden,
    *,
    unheard: bool,
    lost: str,
    values: Values,
    span: tuple[float, float],
    settle_s: float,
    every_s: float,
) -> Silent:
    alert, lasted_s = facts.alert, max(0.0, span[1] - span[0])
    fired = timeline.first(Kind.ALERT_FIRING, after=since_injection(timeline), alert=alert)
    if fired is not None:
        return Silent(alert=alert, fired=True, unknown=_cut_short(facts, timeline, fired, what_not, unheard=unheard))
    if _fired_before(timeline, alert):
        return Silent(alert=alert, unknown=f"{alert} fired since before the fault, and could not tell again")
    if lasted_s >= facts.told_s:
        return Silent(alert=alert, by_s=lasted_s - facts.told_s)
    why = lost or _unwell(facts, values, span, settle_s=settle_s, most_gap_s=EVALUATIONS * every_s)
    if not why:
        seen = (value for at, value in values if span[0] + settle_s <= at <= span[1])
        worst = (min if facts.below else max)(seen)
        said = f"at {'least' if facts.below else 'most'} {facts.show(worst)} (limit {facts.show(facts.bound)})"
        said += "" if facts.well(worst) else ", and soon well again"
        return Silent(alert=alert, well=(facts.slo, -facts.bound if facts.below else facts.bound, said))
    return Silent(alert=alert, unknown=f"{alert} takes up to {facts.told_s:.1f} s to tell, and {why}")


def _cut_short(facts: _Facts, timeline: Timeline, fired: Event, what_not: Forbidden, *, unheard: bool) -> str:
    """Why an alert that fired may not have come to act; empty where it had its say, and this did not follow.

    The responder's say is a decision that is final; a page may wait for its group, so the alert must have fired for as
    long as that takes. The same where the responder is promised to hear nothing (``breaks``), and has not.
    """
    alert = facts.alert
    if what_not == "rollback":
        if timeline.first(Kind.DECIDED, after=fired.at, alert=alert, final=True):
            return ""
        if not unheard or timeline.first(Kind.WEBHOOK_RECEIVED, after=fired.at, alert=alert):
            return f"{alert} fired, and the responder made no final decision on it"
    over = timeline.first(Kind.ALERT_RESOLVED, after=fired.at, alert=alert)
    if over is None or over.at - fired.at >= facts.notified_s:
        return ""
    return f"{alert} fired for {over.at - fired.at:.1f} s only, and its word may take {facts.notified_s:.1f} s"


def _fired_before(timeline: Timeline, alert: str) -> bool:
    """Whether the alert's last state before the fault was firing."""
    kinds = (Kind.ALERT_PENDING, Kind.ALERT_FIRING, Kind.ALERT_RESOLVED)
    told = [e for e in timeline.of(*kinds) if e.data.get("alert") == alert and e.at < since_injection(timeline)]
    return bool(told) and told[-1].kind is Kind.ALERT_FIRING


def _unwell(facts: _Facts, values: Values, span: tuple[float, float], *, settle_s: float, most_gap_s: float) -> str:
    """Why its indicator was not seen well from when new pods are measured until the fault was over; else empty."""
    since, until = span[0] + settle_s, span[1]
    inside = [(at, value) for at, value in values if since <= at <= until]
    if until <= since or not inside:
        return f"there is no data of {facts.slo} while the fault was in force"
    gap_s = max(later - earlier for earlier, later in pairwise([since, *(at for at, _ in inside), until]))
    if gap_s > most_gap_s:
        return f"of {facts.slo} there is no data for {gap_s:.1f} s"
    bad = [(at, value) for at, value in inside if not facts.well(value)]
    # What was over again while the fault was still there, for a whole window and until the end, was no effect that
    # would have lasted: the alert's time would have begun anew.
    if bad and until - bad[-1][0] <= facts.window_s + settle_s:
        worst = (min if facts.below else max)(value for _, value in bad)
        again = f", and {until - bad[-1][0]:.1f} s before its end still"
        return (
            f"{facts.slo} was {facts.show(worst)} while the fault was in force{again} (limit {facts.show(facts.bound)})"
        )
    lasted_s, last = span[1] - span[0], inside[-1][1]
    if lasted_s >= facts.window_s:
        return ""
    whole = last * facts.window_s / lasted_s
    if facts.adds_up and not facts.below and facts.well(whole):
        return ""
    return f"{facts.slo} is measured over {facts.window_s:.3g} s, of which the fault filled {lasted_s:.1f} s"


def _measured(timeline: Timeline) -> tuple[str, dict[str, Values]]:
    """Why nothing was measured, else the values of each indicator."""
    found = [event for event in timeline.of(Kind.NOTE) if "indicators" in event.data]
    if not found:
        return "what Prometheus measured meanwhile was not recorded", {}
    data = found[-1].data
    lost = f"what Prometheus measured meanwhile is not known: {data['error']}" if data.get("error") else ""
    return lost, data["indicators"]
