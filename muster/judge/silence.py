"""What must not happen in a drill: a page, a rollback, an alert that is known to be blind to this fault.

Silence is only proof where it was listened to, until nothing more could come, and while the fault was there: of each
alert that might have acted it is asked whether the fault outlasted it or left its indicator well (``judge.proof``).
"""

from __future__ import annotations

from collections.abc import Iterable

from muster.judge.chain import start
from muster.judge.lasting import lasted_s
from muster.judge.link import since_injection, source
from muster.judge.objectives import Forbidden, Objectives
from muster.judge.outcome import Outcome
from muster.judge.proof import in_words, silent
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict


def forbidden(timeline: Timeline, objectives: Objectives) -> Iterable[Outcome]:
    """What must not follow: seen is FAIL, silent is a PASS only where it was listened to, and long enough."""
    after = since_injection(timeline)
    for what_not in _of_silence(objectives):
        kinds, _, what = _FORBIDDEN[what_not]
        seen = [event for event in timeline.of(*kinds) if event.at >= after]
        name = f"must_not {what_not}"
        if what_not == "rollback":
            # With the strategy "none" the decision is all that the responder adds: others carry it out.
            decided = ("roll back", "would roll back")
            seen = [e for e in seen if e.kind is not Kind.DECIDED or e.data.get("decision") in decided]
        if seen:
            who = seen[0].data.get("contact") or seen[0].data.get("alert") or seen[0].message
            message = f"{what} {seen[0].at - after:.2f} s after the fault ({who}), and must not have"
            yield Outcome(objective=name, verdict=Verdict.FAIL, message=message)
            continue
        yield _not_seen(what_not, timeline, objectives)


def unsettled(timeline: Timeline, objectives: Objectives) -> list[str]:
    """Open alerts that could still do what must not follow, in words: a drill that ends before they do knows less."""
    return [said for what_not in _of_silence(objectives) for said in _might_yet(timeline, what_not)]


def _of_silence(objectives: Objectives) -> list[Forbidden]:
    """What must not follow at all; what must not follow beside something else is ``judge.beyond``'s."""
    return [what_not for what_not in _FORBIDDEN if what_not in objectives.must_not]


def _not_seen(what_not: Forbidden, timeline: Timeline, objectives: Objectives) -> Outcome:
    """Silence is only proof where it was listened to, until nothing more could come."""
    name, (_, source_name, what) = f"must_not {what_not}", _FORBIDDEN[what_not]
    after = since_injection(timeline)
    listened = source(timeline, source_name)
    if after == float("inf"):
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message="no fault was injected, so nothing was tested")
    if not listened.readable:
        message = f"whether {what} is not known: {listened.name} could not be read ({listened.error})"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    waiting = _might_yet(timeline, what_not)
    if waiting:
        message = f"the drill ended while {', '.join(waiting)}: it might yet have acted"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    prometheus = source(timeline, "prometheus")
    if not prometheus.readable:
        message = f"whether an alert was on its way is not known: prometheus could not be read ({prometheus.error})"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    short = _too_short(timeline, objectives) or _unheard(timeline, what_not)
    if short:
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=short)
    proven, unknown = _proven(timeline, objectives, what_not)
    if unknown:
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=unknown)
    return Outcome(objective=name, verdict=Verdict.PASS, message=f"no {what_not} followed the fault{proven}")


def _proven(timeline: Timeline, objectives: Objectives, what_not: Forbidden) -> tuple[str, str]:
    """What shows that no alert was cut short by the undo, and what is not known of that: the one or the other."""
    if not _undone_at_will(objectives):
        return ", which ended by itself" if objectives.action == "none" else "", ""
    alerts = silent(timeline, objectives, what_not)
    if alerts is None:
        return "", f"the drill undid the fault, and which alerts might have led to a {what_not} was not recorded"
    if unknown := [alert.unknown for alert in alerts if alert.unknown]:
        return "", f"the drill undid the fault, and whether a {what_not} would have followed: {'; '.join(unknown)}"
    return f"; {in_words(alerts)}" if alerts else "", ""


_FORBIDDEN: dict[Forbidden, tuple[tuple[Kind, ...], str, str]] = {
    "page": ((Kind.PAGE_RECEIVED,), "inbox", "somebody was paged"),
    "rollback": ((Kind.ROLLBACK_STARTED, Kind.DECIDED, Kind.ROLLBACK_PROVEN), "responder", "a rollback was decided on"),
}


def open_alerts(timeline: Timeline) -> dict[str, Event]:
    """The alerts that are pending or firing after the last event, by name: the event that says so."""
    last: dict[str, Event] = {}
    for event in timeline.of(Kind.ALERT_PENDING, Kind.ALERT_FIRING, Kind.ALERT_RESOLVED):
        last[str(event.data.get("alert"))] = event
    return {name: event for name, event in sorted(last.items()) if event.kind is not Kind.ALERT_RESOLVED}


def following(timeline: Timeline) -> dict[str, Event]:
    """The open alerts that may follow from the fault: one that fires since before it cannot."""
    after = since_injection(timeline)
    return {
        name: event
        for name, event in open_alerts(timeline).items()
        if not (event.kind is Kind.ALERT_FIRING and event.at < after < float("inf"))
    }


def _might_yet(timeline: Timeline, what_not: Forbidden) -> list[str]:
    """The open alerts that could still do it: those that fire, too, until their page or the decision has come."""
    return [
        f"{name} was still {'pending' if event.kind is Kind.ALERT_PENDING else 'firing'}"
        for name, event in following(timeline).items()
        if _could(event, what_not) and not has_acted(timeline, event, what_not)
    ]


def _could(event: Event, what_not: Forbidden) -> bool:
    """Whether this alert may do it, by its own labels, as Alertmanager's routes and the responder read them.

    One whose labels were not recorded may do anything; one that is no rule of ours names nobody and may still page.
    """
    labels: dict[str, str] | None = event.data.get("labels")
    if not labels:
        return True
    return labels.get("action") == "rollback" if what_not == "rollback" else labels.get("tell") != ""


def has_acted(timeline: Timeline, event: Event, what_not: Forbidden) -> bool:
    """Whether what this alert does has been done since it was last over: the page, or a decision that is final."""
    alert = event.data.get("alert")
    over = [e.at for e in timeline.of(Kind.ALERT_RESOLVED) if e.data.get("alert") == alert]
    since = max(over, default=0.0)
    if what_not == "page":
        return timeline.first(Kind.PAGE_RECEIVED, after=since, alert=alert) is not None
    return timeline.first(Kind.DECIDED, after=since, alert=alert, final=True) is not None


def _too_short(timeline: Timeline, objectives: Objectives) -> str:
    """Why the fault was undone too early for silence to mean anything; empty when it was not."""
    if not objectives.outlast:
        return ""
    started = timeline.first(Kind.DRILL_STARTED)
    needed = started.data.get("outlast_s") if started else None
    if needed is None:
        return f"how long {objectives.outlast} takes to tell was not recorded, so the silence proves nothing"
    lasted = lasted_s(timeline, objectives)
    if lasted is None:
        return "when the fault was undone is not known, so the silence proves nothing"
    if lasted >= float(needed):
        return ""
    return (
        f"the fault was there for {lasted:.1f} s, and {objectives.outlast} takes up to {needed:g} s: too short to tell"
    )


def _undone_at_will(objectives: Objectives) -> bool:
    """Whether the drill itself ends the fault, whenever it likes.

    Not where the fault is that nothing can be known and no alert comes of it: what takes the eyes away could be told
    only after it was over, and that is listened to.
    """
    return objectives.action == "by-hand" and not (objectives.unknown and not objectives.alert)


def missed_s(timeline: Timeline) -> float:
    """For how long since the fault alerts went unread, in seconds.

    Prometheus' watcher tells each outage when it is over. A recording without such notes has its longest gap only,
    wherever that was.
    """
    since = start(timeline)
    told = [e for e in timeline.of(Kind.NOTE) if e.source == "prometheus" and "unread_s" in e.data]
    if not told:
        return source(timeline, "prometheus").gap_s
    return sum(min(float(event.data["unread_s"]), event.at - since) for event in told if event.at > since)


def _unheard(timeline: Timeline, what_not: Forbidden) -> str:
    """Why alerts were not listened to for as long as the slowest that might have acted takes; empty when they were."""
    started = timeline.first(Kind.DRILL_STARTED)
    needed = (started.data.get("listen_s") or {}).get(what_not) if started else None
    if needed is None:
        return f"how long a {what_not} may take to follow was not recorded, so the silence proves nothing"
    if float(needed) <= 0.0:
        return ""  # the system has no alert that could do it, so none had to be waited for
    last = source(timeline, "prometheus").last_good_at
    if last is None:
        return "when alerts were last read is not recorded, so the silence proves nothing"
    heard = last - start(timeline) - missed_s(timeline)
    if heard >= float(needed):
        return ""
    return f"alerts were listened to for {heard:.1f} s, and a {what_not} may take {needed:g} s to follow: too short"


def unseen(timeline: Timeline, objectives: Objectives) -> Iterable[Outcome]:
    """Alerts that cannot see this fault. One that does is good news, and the experiment is to be put right."""
    after = since_injection(timeline)
    prometheus = source(timeline, "prometheus")
    for alert in objectives.blind:
        name = f"blind {alert}"
        fired = timeline.first(Kind.ALERT_FIRING, after=after, alert=alert)
        if fired:
            message = (
                f"{alert} fired {fired.at - after:.2f} s after the fault: it sees what the experiment says it cannot"
            )
            yield Outcome(objective=name, verdict=Verdict.FAIL, message=message)
        elif after == float("inf") or not prometheus.attentive:
            error = prometheus.error or f"not for {prometheus.gap_s:.1f} s at a time"
            why = f"prometheus could not be read ({error})" if after < float("inf") else "no fault was injected"
            yield Outcome(objective=name, verdict=Verdict.UNKNOWN, message=f"whether {alert} fired is not known: {why}")
        else:
            yield _blind(timeline, objectives, alert)


def _blind(timeline: Timeline, objectives: Objectives, alert: str) -> Outcome:
    """Silent: a PASS where the fault was there for as long as the alert may take to fire, and alerts were read.

    One that was not even pending needs no longer than it takes to become so: what it stands on never was the case.
    """
    name, started = f"blind {alert}", timeline.first(Kind.DRILL_STARTED)
    needed = (started.data.get("blind_s") or {}).get(alert) if started else None
    lasted = lasted_s(timeline, objectives)
    if needed is None or lasted is None:
        what = f"how long {alert} takes to tell" if needed is None else "when the fault was over"
        message = f"{what} is not known, so its silence proves nothing"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    pends_s, fires_s = map(float, needed)
    pending = timeline.first(Kind.ALERT_PENDING, after=since_injection(timeline), alert=alert)
    heard = lasted - missed_s(timeline)
    if heard >= (fires_s if pending else pends_s):
        message = f"{alert} stayed silent for {heard:.1f} s of it: it cannot see this fault"
        return Outcome(objective=name, verdict=Verdict.PASS, message=message)
    until, most_s = ("fire", fires_s) if pending else ("become pending", pends_s)
    message = f"the fault was there and alerts were read for {heard:.1f} s, and {alert} takes up to {most_s:g} s to "
    return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=f"{message}{until}: too short to tell")
