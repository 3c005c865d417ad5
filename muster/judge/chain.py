"""The chain of a drill: fault, alert, page, webhook, decision, rollback, proof, symptom, recovery. What broke, and why.

Where nobody rolls back by itself, findings of the checks, ends of containers and the undo by hand are links as well.
Everything is read from the timeline itself, so that a drill can be judged again from its file alone. What could not be
read while it ran is a NOTE in the timeline (see :func:`~muster.judge.link.source`), and what rests on it is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from muster.judge.effect import without_effect
from muster.judge.helped import symptom
from muster.judge.link import Link, since_injection, source, unreadable
from muster.judge.objectives import Objectives
from muster.judge.order import in_order
from muster.judge.recovery import recovery
from muster.judge.symptoms import finding, killed
from muster.timeline import Event, Kind, Timeline
from muster.verdict import Verdict


def chain(timeline: Timeline, objectives: Objectives) -> tuple[Link, ...]:
    """The links that these objectives need, in order."""
    names = ["fault"]
    if objectives.alert:
        names.append("alert")
    names += [f"page {contact}" if others else "page" for others, contact in enumerate(objectives.pages)]
    if objectives.killed:
        names.append("kill")
    if objectives.finds:
        names.append("finding")
    if objectives.action == "rollback":
        names += ["webhook", "decision", "rollback", "proof", "symptom"]
    if objectives.action == "by-hand":
        names.append("undo")
    if objectives.recovered_within_s is not None or objectives.action != "none":
        names.append("recovery")
    links = in_order(timeline, tuple(_link(name, timeline, objectives) for name in names), but=objectives.breaks)
    if links[0].event is not None:
        return links
    # Without a fault in force, what did not follow is no failure of the system: nothing was tested.
    return tuple(link if link.event else replace(link, verdict=Verdict.UNKNOWN) for link in links)


def _link(name: str, timeline: Timeline, objectives: Objectives) -> Link:
    if name.startswith("page"):
        return _page(timeline, objectives, name, name.partition(" ")[2] or objectives.page)
    if name in _CARRIED_OUT and _watched(timeline, objectives):
        why = "the responder carries nothing out here (rollback.strategy none): what others rolled back is not known"
        return Link(name=name, event=None, why=why, verdict=Verdict.UNKNOWN)
    return _LINKS[name](timeline, objectives)


def broken(links: tuple[Link, ...]) -> Link | None:
    """The first missing link, or None when the chain holds."""
    return next((link for link in links if link.event is None), None)


def in_force(timeline: Timeline) -> Event | None:
    """The fault's confirmation, else its injection; None when there was none."""
    return timeline.first(Kind.FAULT_CONFIRMED) or timeline.first(Kind.FAULT_INJECTED)


def start(timeline: Timeline) -> float:
    """When the fault was in force; infinity when there was none."""
    event = in_force(timeline)
    return event.at if event else float("inf")


def seen(timeline: Timeline, objectives: Objectives) -> Event | None:
    """What made the fault measurable: in force, and scraped by Prometheus as far as the alert had to wait for that.

    New pods are discovered seconds after they serve, whatever the intervals. Of the first scrapes of bad pods, the last
    one before the alert became pending is the one that it waited for. Where it saw only some of the bad pods, was over
    again, and so had to wait from the start, it is that end.
    """
    fault = in_force(timeline)
    if fault is None:
        return None
    until = _pending_at(timeline, objectives.alert)
    scrapes = list(timeline.of(Kind.FAULT_VISIBLE))
    begun = max([fault, *(event for event in scrapes if event.at <= until)], key=lambda event: event.at)
    over = [e for e in timeline.of(Kind.ALERT_RESOLVED) if e.data.get("alert") == objectives.alert]
    over = [event for event in over if begun.at < event.at <= until and any(s.at > event.at for s in scrapes)]
    return over[-1] if over else begun


def _pending_at(timeline: Timeline, alert: str) -> float:
    """When the alert became pending for the time that it then fired; infinity when it never was."""
    after = since_injection(timeline)
    firing = timeline.first(Kind.ALERT_FIRING, after=after, alert=alert)
    until = firing.at if firing else float("inf")
    pending = [e.at for e in timeline.of(Kind.ALERT_PENDING) if e.data.get("alert") == alert and after <= e.at <= until]
    return max(pending, default=float("inf"))


def visible(timeline: Timeline, objectives: Objectives) -> float:
    """When the fault could be measured (see :func:`seen`); infinity when there was none."""
    event = seen(timeline, objectives)
    return event.at if event else float("inf")


def _fault(timeline: Timeline, _: Objectives) -> Link:
    injected, confirmed = timeline.first(Kind.FAULT_INJECTED), timeline.first(Kind.FAULT_CONFIRMED)
    if injected is None:
        unsteady = [event for event in timeline.of(Kind.STEADY) if event.data.get("verdict") not in ("PASS", "WARN")]
        why = f"the steady state did not hold before it: {unsteady[-1].message}" if unsteady else "none was recorded"
        return Link(
            name="fault",
            event=None,
            why=f"no fault was injected, so nothing was tested ({why})",
            verdict=Verdict.UNKNOWN,
        )
    if confirmed is None:
        return Link(
            name="fault",
            event=None,
            why="the fault was injected but never seen in force, so what followed proves nothing",
            verdict=Verdict.UNKNOWN,
        )
    if why := without_effect(timeline):
        return Link(name="fault", event=None, why=why, verdict=Verdict.UNKNOWN)
    return Link(name="fault", event=confirmed)


def _alert(timeline: Timeline, objectives: Objectives) -> Link:
    after, name = since_injection(timeline), objectives.alert
    firing = timeline.first(Kind.ALERT_FIRING, after=after, alert=name)
    if firing:
        return Link(name="alert", event=firing)
    prometheus = source(timeline, "prometheus")
    if not prometheus.attentive:
        return unreadable("alert", f"whether {name} fired is not known", prometheus)
    pending = timeline.first(Kind.ALERT_PENDING, after=after, alert=name)
    if pending:
        why = f"{name} was pending from {pending.at - after:.2f} s after the fault on, but never fired"
    else:
        others = sorted({str(event.data.get("alert")) for event in timeline.of(Kind.ALERT_FIRING) if event.at >= after})
        why = f"{name} never became pending in Prometheus"
        why += f"; firing were {', '.join(others)}" if others else "; no other alert fired either"
    return Link(name="alert", event=None, why=why, verdict=Verdict.FAIL)


def _page(timeline: Timeline, objectives: Objectives, name: str, contact: str) -> Link:
    after = since_injection(timeline)
    page = timeline.first(Kind.PAGE_RECEIVED, after=after, contact=contact, alert=objectives.alert)
    if page:
        return Link(name=name, event=page)
    inbox = source(timeline, "inbox")
    if not inbox.readable:
        return unreadable(name, f"whether {contact} was paged is not known", inbox)
    told = sorted(
        {
            f"{event.data.get('contact')} ({event.data.get('alert')})"
            for event in timeline.of(Kind.PAGE_RECEIVED)
            if event.at >= after
        }
    )
    why = f"{contact} was never paged for {objectives.alert}: the inbox holds "
    why += f"pages to {', '.join(told)}" if told else "no page since the fault"
    return Link(name=name, event=None, why=why + _routing(timeline, objectives), verdict=Verdict.FAIL)


def _webhook(timeline: Timeline, objectives: Objectives) -> Link:
    received = timeline.first(Kind.WEBHOOK_RECEIVED, after=since_injection(timeline), alert=objectives.alert)
    if received:
        return Link(name="webhook", event=received)
    responder = source(timeline, "responder")
    if responder.refused:
        why = "the responder never received the webhook: Alertmanager could not deliver it, because nothing listens"
        why += f" there ({responder.error})"
    elif not responder.readable:
        return unreadable("webhook", "whether the responder received the webhook is not known", responder)
    else:
        why = f"the responder answers, but never received a webhook for {objectives.alert}"
    return Link(name="webhook", event=None, why=why + _routing(timeline, objectives), verdict=Verdict.FAIL)


def _decision(timeline: Timeline, objectives: Objectives) -> Link:
    after = since_injection(timeline)
    decided = timeline.first(Kind.DECIDED, after=after, decision="roll back", alert=objectives.alert)
    decided = decided or _watched(timeline, objectives)
    if decided:
        return Link(name="decision", event=decided)
    if elsewhere := timeline.first(Kind.DECIDED, after=after, decision="roll back"):
        why = f"the responder rolled back over {elsewhere.data.get('alert')}: of {objectives.alert} nothing was proven"
        return _from_audit(timeline, "decision", why)
    # Other alerts' remedies are proposed meanwhile: what was decided about this one says why.
    other = timeline.first(Kind.DECIDED, after=after, alert=objectives.alert)
    other = other or timeline.first(Kind.DECIDED, after=after)
    if other:
        reason = other.data.get("reason") or other.message
        why = f"the responder decided to {other.data.get('decision')} instead of rolling back: {reason}"
        return Link(name="decision", event=None, why=why, verdict=Verdict.FAIL)
    return _from_audit(timeline, "decision", "the responder received the webhook, but decided nothing")


def _watched(timeline: Timeline, objectives: Objectives) -> Event | None:
    """The decision of a responder that leaves rolling back to others."""
    after = since_injection(timeline)
    return timeline.first(Kind.DECIDED, after=after, decision="would roll back", alert=objectives.alert)


def _rollback(timeline: Timeline, _: Objectives) -> Link:
    started = timeline.first(Kind.ROLLBACK_STARTED, after=since_injection(timeline))
    if started:
        return Link(name="rollback", event=started)
    return _from_audit(timeline, "rollback", "the responder decided to roll back, but never started")


def _proof(timeline: Timeline, _: Objectives) -> Link:
    after = since_injection(timeline)
    proven = timeline.first(Kind.ROLLBACK_PROVEN, after=after, verdict="PASS")
    if proven:
        return Link(name="proof", event=proven)
    tried = timeline.first(Kind.ROLLBACK_PROVEN, after=after)
    if tried:
        return Link(
            name="proof",
            event=None,
            why=f"the rollback changed nothing that could be proven: {tried.data.get('message') or tried.message}",
            verdict=Verdict.FAIL,
        )
    return _from_audit(timeline, "proof", "the rollback was started, and never proven")


def _undo(timeline: Timeline, _: Objectives) -> Link:
    healed = timeline.first(Kind.HEALED, after=since_injection(timeline))
    if healed:
        return Link(name="undo", event=healed)
    failed = [event for event in timeline.of(Kind.NOTE) if event.message.startswith("not healed")]
    why = failed[-1].message if failed else "nobody undid the fault before the experiment ended"
    return Link(name="undo", event=None, why=why, verdict=Verdict.FAIL)


def _from_audit(timeline: Timeline, name: str, why: str) -> Link:
    responder = source(timeline, "responder")
    if not responder.readable and not responder.refused:
        return unreadable(name, "what the responder did is not known", responder)
    died = f"; it no longer listens ({responder.error})" if responder.refused else ""
    return Link(name=name, event=None, why=why + died, verdict=Verdict.FAIL)


def _routing(timeline: Timeline, objectives: Objectives) -> str:
    """What Alertmanager itself says about where it sent this alert, and what failed."""
    said = None
    for event in timeline.of(Kind.NOTE):
        if event.source == "alertmanager" and "receivers" in event.data:
            said = event
    if said is None:
        return ""
    parts = []
    receivers = said.data.get("receivers", {}).get(objectives.alert)
    if receivers is not None:
        parts.append(f"Alertmanager routes it to {', '.join(receivers) or 'nobody'}")
    failed = {name: int(count) for name, count in said.data.get("failed", {}).items() if count > 0}
    if said.data.get("failures"):
        parts.append(f"Alertmanager itself did not answer for up to {said.data.get('longest_gap_s', 0.0):.1f} s")
    if failed:
        parts.append("it counts failed notifications: " + ", ".join(f"{n} {name}" for name, n in failed.items()))
    return f"; {'; '.join(parts)}" if parts else ""


_CARRIED_OUT = ("rollback", "proof", "symptom")
_LINKS: dict[str, Callable[[Timeline, Objectives], Link]] = {
    "fault": _fault,
    "alert": _alert,
    "kill": killed,
    "finding": finding,
    "undo": _undo,
    "webhook": _webhook,
    "decision": _decision,
    "rollback": _rollback,
    "proof": _proof,
    "symptom": symptom,
    "recovery": recovery,
}
