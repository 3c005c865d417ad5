"""Judging a drill: pure functions of its timeline. What was promised, what was measured, one sentence for each.

Where times are counted from is part of the promise: see :class:`~muster.judge.objectives.Objectives`. An event that was
expected and never came is FAIL and names the first broken link of the chain; where its source could not be
read it is UNKNOWN. Nothing that was not seen is ever a PASS.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from muster.judge.chain import Link, broken, chain, since_injection, source
from muster.judge.measure import Measured, measure
from muster.judge.objectives import Objectives
from muster.timeline import Kind, Timeline
from muster.verdict import Verdict, worst


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One objective's verdict with one sentence."""

    objective: str
    verdict: Verdict
    message: str
    measured: float | None = None  # seconds, or a ratio for user_errors_below
    limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict of one experiment, every objective's, and what was measured."""

    verdict: Verdict
    measured: Measured
    outcomes: tuple[Outcome, ...]
    broken: str = ""  # the name of the first missing link of the chain

    @property
    def sentence(self) -> str:
        """The one that a person reads first: the worst outcome's, or that all is well."""
        if self.verdict is Verdict.PASS:
            return f"all {len(self.outcomes)} objectives were met"
        return (
            max(self.outcomes, key=lambda outcome: outcome.verdict.rank).message if self.outcomes else "nothing judged"
        )


def judge(
    timeline: Timeline, objectives: Objectives, *, window_s: float = 0.0, predicted_s: tuple[float, float] | None = None
) -> Judgement:
    """Judge one experiment.

    Args:
        timeline: what was recorded, in order of time.
        objectives: what its file promises.
        window_s: the expected alert's ``for`` at this environment's scale.
        predicted_s: least and most seconds from fault to notification, from every window and interval.
    """
    links = chain(timeline, objectives)
    measured = measure(timeline, objectives, links, window_s=window_s, predicted_s=predicted_s)
    outcomes = (
        *_links_hold(links, objectives, timeline),
        *_in_time(measured, objectives, links),
        *_as_predicted(measured),
        *_forbidden(timeline, objectives),
        *_users(timeline, measured, objectives),
        _steady_in_the_end(timeline),
    )
    first = broken(links)
    return Judgement(
        verdict=worst(outcome.verdict for outcome in outcomes),
        measured=measured,
        outcomes=outcomes,
        broken=first.name if first else "",
    )


def _links_hold(links: tuple[Link, ...], objectives: Objectives, timeline: Timeline) -> Iterable[Outcome]:
    """Each link that was promised: seen, or why not, naming the first that broke."""
    first, injected = broken(links), since_injection(timeline)
    for link in links:
        if link.event is not None:
            said = f"{_CLAIM[link.name].format(o=objectives)}, {link.event.at - injected:.2f} s after the fault"
            yield Outcome(objective=link.name, verdict=Verdict.PASS, message=said)
            continue
        why = link.why
        if first is not None and link is not first:
            why = f"not reached: the chain broke at the {first.name}"
        yield Outcome(objective=link.name, verdict=link.verdict, message=why)


_CLAIM = {
    "fault": "the fault was in force",
    "alert": "{o.alert} fired",
    "page": "{o.page} was paged",
    "webhook": "the responder received the webhook",
    "decision": "the responder decided to roll back",
    "rollback": "the rollback was started",
    "proof": "the rollback was proven",
    "recovery": "the steady state was seen again",
}


def _in_time(measured: Measured, objectives: Objectives, links: tuple[Link, ...]) -> Iterable[Outcome]:
    """Each deadline. Where the event never came, its link has already said why: the deadline shares its verdict."""
    window = measured.window_s
    over = f" over its window of {window:g} s" if window else ""
    late = measured.visible_s or 0.0  # until Prometheus scrapes new pods, no rule can see them
    over += f", {late:.2f} s of target discovery apart" if late else ""
    less = None if measured.detect_s is None else measured.detect_s - late - window
    start_of = "the webhook" if objectives.action == "rollback" else "the fault"
    rows = (
        ("detect_within", "alert", f"detected{over}", less, objectives.detect_within_s),
        ("webhook_within", "webhook", f"fault to webhook{over}", measured.overhead_s, objectives.webhook_within_s),
        ("page_within", "page", "alert to page", measured.page_s, objectives.page_within_s),
        ("decide_within", "decision", "webhook to decision", measured.decide_s, objectives.decide_within_s),
        (
            "traffic_off_within",
            "rollback",
            "webhook to the last user served by the bad release",
            measured.traffic_off_s,
            objectives.traffic_off_within_s,
        ),
        ("rollback_within", "proof", "webhook to proven rollback", measured.rollback_s, objectives.rollback_within_s),
        ("recovered_within", "recovery", f"{start_of} to recovered", measured.recover_s, objectives.recovered_within_s),
    )
    by_name = {link.name: link for link in links}
    for name, link_name, what, value, limit in rows:
        if limit is not None:
            yield _deadline(name, by_name.get(link_name), what, value, limit)


def _deadline(name: str, link: Link | None, what: str, value: float | None, limit: float) -> Outcome:
    if value is None:
        missing = link is not None and link.event is None
        verdict = link.verdict if link is not None and missing else Verdict.UNKNOWN
        return Outcome(objective=name, verdict=verdict, message=f"{what}: never seen, limit {limit:g} s", limit=limit)
    held = value <= limit
    return Outcome(
        objective=name,
        verdict=Verdict.PASS if held else Verdict.FAIL,
        message=f"{what}: {value:.2f} s {'<=' if held else '>'} {limit:g} s",
        measured=value,
        limit=limit,
    )


DELIVERY_S = 2.0  # rule evaluated to webhook received, on a machine that has other things to do


def _as_predicted(measured: Measured) -> Iterable[Outcome]:
    """Whether every window and interval together explain the time from the first scrape of the fault to the webhook."""
    if measured.predicted_s is None or measured.overhead_s is None:
        return
    low, high = measured.predicted_s
    took = measured.window_s + measured.overhead_s
    held = took <= high + DELIVERY_S
    late = f", {measured.visible_s:.2f} s of target discovery apart" if measured.visible_s else ""
    yield Outcome(
        objective="predicted",
        verdict=Verdict.PASS if held else Verdict.FAIL,
        message=f"fault to webhook{late}: {took:.2f} s, predicted {low:.2f} to {high:.2f} s"
        + ("" if held else ": later than every window and interval explains"),
        measured=took,
        limit=high + DELIVERY_S,
    )


def _steady_in_the_end(timeline: Timeline) -> Outcome:
    """The hypothesis itself: the last look at the steady state, after the fault, must have found it."""
    name, after = "hypothesis", since_injection(timeline)
    looks = [event for event in timeline.of(Kind.STEADY) if event.at >= after]
    if not looks:
        message = "the steady state was not looked at after the fault"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    verdict = Verdict(looks[-1].data.get("verdict", "UNKNOWN"))
    return Outcome(objective=name, verdict=verdict, message=f"in the end: {looks[-1].message}")


def _forbidden(timeline: Timeline, objectives: Objectives) -> Iterable[Outcome]:
    after = since_injection(timeline)
    for forbidden in objectives.must_not:
        kinds, source_name, what = _FORBIDDEN[forbidden]
        seen = [event for event in timeline.of(*kinds) if event.at >= after]
        name = f"must_not {forbidden}"
        if forbidden == "rollback":
            seen = [e for e in seen if e.kind is not Kind.DECIDED or e.data.get("decision") == "roll back"]
        if seen:
            who = seen[0].data.get("contact") or seen[0].data.get("alert") or seen[0].message
            message = f"{what} {seen[0].at - after:.2f} s after the fault ({who}), and must not have"
            yield Outcome(objective=name, verdict=Verdict.FAIL, message=message)
            continue
        yield _not_seen(name, what, source_name, timeline, after)


def _not_seen(name: str, what: str, source_name: str, timeline: Timeline, after: float) -> Outcome:
    """Silence is only proof where it was listened to, until nothing more could come."""
    listened = source(timeline, source_name)
    if after == float("inf"):
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message="no fault was injected, so nothing was tested")
    if not listened.readable:
        message = f"whether {what} is not known: {listened.name} could not be read ({listened.error})"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    waiting = _still_pending(timeline)
    if waiting:
        message = f"the drill ended while {', '.join(waiting)} was still pending: it might yet have acted"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    prometheus = source(timeline, "prometheus")
    if not prometheus.readable:
        message = f"whether an alert was on its way is not known: prometheus could not be read ({prometheus.error})"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    return Outcome(
        objective=name, verdict=Verdict.PASS, message=f"no {name.removeprefix('must_not ')} followed the fault"
    )


_FORBIDDEN: dict[str, tuple[tuple[Kind, ...], str, str]] = {
    "page": ((Kind.PAGE_RECEIVED,), "inbox", "somebody was paged"),
    "rollback": ((Kind.ROLLBACK_STARTED, Kind.DECIDED, Kind.ROLLBACK_PROVEN), "responder", "a rollback followed"),
}


def _still_pending(timeline: Timeline) -> list[str]:
    state: dict[str, Kind] = {}
    for event in timeline.of(Kind.ALERT_PENDING, Kind.ALERT_FIRING, Kind.ALERT_RESOLVED):
        state[str(event.data.get("alert"))] = event.kind
    return sorted(name for name, kind in state.items() if kind is Kind.ALERT_PENDING)


def _users(timeline: Timeline, measured: Measured, objectives: Objectives) -> Iterable[Outcome]:
    limit = objectives.user_errors_below
    if limit is None:
        return
    name, load = "user_errors_below", source(timeline, "load")
    if not load.readable:
        message = f"what users saw is not known: the load generator failed ({load.error})"
        yield Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message, limit=limit)
    elif measured.user_error_ratio is None:
        message = "what users saw is not known: no request was made after the fault"
        yield Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message, limit=limit)
    else:
        ratio = measured.user_error_ratio
        held = ratio < limit
        message = f"users: {measured.user_errors} of {measured.user_requests} requests failed, {ratio:.2%} "
        message += f"{'<' if held else '>='} {limit:.2%}"
        yield Outcome(
            objective=name,
            verdict=Verdict.PASS if held else Verdict.FAIL,
            message=message,
            measured=ratio,
            limit=limit,
        )
