"""Judging a drill: pure functions of its timeline. What was promised, what was measured, one sentence for each.

Where times are counted from is part of the promise: see :class:`~muster.judge.objectives.Objectives`. An event that was
expected and never came is FAIL and names the first broken link of the chain; where its source could not be
read it is UNKNOWN. Nothing that was not seen is ever a PASS.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from muster.judge.arrivals import arrivals, came
from muster.judge.beyond import beyond
from muster.judge.blackout import broken_as_expected, not_known
from muster.judge.chain import broken, chain
from muster.judge.link import Link, since_injection
from muster.judge.measure import Measured, measure
from muster.judge.objectives import Objectives
from muster.judge.outcome import Outcome
from muster.judge.predicted import as_predicted
from muster.judge.silence import forbidden, unseen
from muster.judge.stopping import Stop
from muster.judge.undone import undone
from muster.judge.users import felt
from muster.timeline import Kind, Timeline
from muster.verdict import Verdict, worst


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

    @property
    def proven(self) -> Outcome | None:
        """The first FAIL that more time could not have changed: something was seen, and must not have been."""
        failed = (one for one in self.outcomes if one.verdict is Verdict.FAIL)
        return next((one for one in failed if one.objective.partition(" ")[0] in _FACTS), None)

    def verdict_of(self, interrupted: str, stop: Stop | None) -> Verdict:
        """The verdict of an experiment that may have been cut short, by ``stop`` or otherwise.

        What did not happen because nobody waited for it any more is no failure of the system; what was seen to happen
        and must not have is one, whatever ended the experiment.
        """
        if self.proven is not None:
            return Verdict.FAIL
        if stop is not None:
            return stop.verdict
        return Verdict.UNKNOWN if interrupted else self.verdict

    def sentence_of(self, interrupted: str) -> str:
        """The one that a person reads first of such an experiment: why it ended, and what was proven nevertheless."""
        if not interrupted:
            return self.sentence
        return interrupted if self.proven is None else f"{interrupted}; {self.proven.message}"


_FACTS = {"must_not", "blind", "undone"}  # objectives that fail over what happened, never over what did not


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
    arrived = arrivals(timeline, objectives.load) if objectives.load is not None else None
    measured = measure(timeline, objectives, links, window_s=window_s, predicted_s=predicted_s, arrived=arrived)
    came_as_ordered = came(timeline, objectives, arrived)
    doubted = arrived is not None and bool(arrived.doubt)
    outcomes = (
        *(came_as_ordered if doubted else ()),  # first: it says why the rest proves little
        *_links_hold(links, objectives, timeline),
        *broken_as_expected(links, objectives),
        *not_known(timeline, objectives),
        *_in_time(timeline, measured, objectives, links),
        *as_predicted(timeline, measured, objectives),
        *forbidden(timeline, objectives),
        *beyond(timeline, objectives),
        *unseen(timeline, objectives),
        *(() if doubted else came_as_ordered),
        *felt(timeline, measured, objectives, arrived),
        *undone(timeline),
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
    first = broken(tuple(link for link in links if link.name not in objectives.breaks))
    injected = since_injection(timeline)
    for link in links:
        if link.name in objectives.breaks:
            continue  # it must be missing: see broken_as_expected
        if link.event is not None:
            kind, _, who = link.name.partition(" ")
            m = link.event.message
            claim = _CLAIM[kind].format(o=objectives, who=who or objectives.page, m=m, said=f" ({m})" if m else "")
            if link.event.data.get("decision") == "would roll back":
                claim = "the responder decided what it would roll back, and left it to others"
            said = f"{claim}, {link.event.at - injected:.2f} s after the fault"
            yield Outcome(objective=link.name, verdict=Verdict.PASS, message=said)
            continue
        why = link.why
        if first is not None and link is not first:
            why = f"not reached: the chain broke at the {first.name}"
        yield Outcome(objective=link.name, verdict=link.verdict, message=why)


_CLAIM = {
    "fault": "the fault was in force",
    "alert": "{o.alert} fired",
    "page": "{who} was paged",
    "kill": "{m}",
    "finding": "what the checks see: {m}",
    "undo": "undone by hand: {m}",
    "webhook": "the responder received the webhook",
    "decision": "the responder decided to roll back",
    "rollback": "the rollback was started",
    "proof": "the rollback was proven",
    "symptom": "the symptom was gone{said}",
    "recovery": "the steady state was seen again{said}",
}


def _in_time(
    timeline: Timeline, measured: Measured, objectives: Objectives, links: tuple[Link, ...]
) -> Iterable[Outcome]:
    """Each deadline. Where the event never came, its link has already said why: the deadline shares its verdict."""
    window = measured.window_s
    over = f" over its window of {window:g} s" if window else ""
    late = measured.visible_s or 0.0  # until Prometheus scrapes new pods, no rule can see them
    over += f", {late:.2f} s of target discovery apart" if late else ""
    less = None if measured.detect_s is None else max(0.0, measured.detect_s - late - window)
    start_of = {"rollback": "the webhook", "by-hand": "the undo by hand", "none": "the fault"}[objectives.action]
    also = (
        (f"page_within {who}", f"page {who}", f"alert to page of {who}", took_s, f"page_s {who}")
        for who, took_s in measured.also_page_s.items()
    )
    rows = (
        ("detect_within", "alert", f"detected{over}", less, "detect_s"),
        ("webhook_within", "webhook", f"fault to webhook{over}", measured.overhead_s, "overhead_s"),
        ("finds_within", "finding", "fault to what the checks see", measured.find_s, "find_s"),
        ("page_within", "page", "alert to page", measured.page_s, "page_s"),
        *also,
        ("decide_within", "decision", "webhook to decision", measured.decide_s, "decide_s"),
        ("traffic_off_within", "rollback", _TRAFFIC_OFF, measured.traffic_off_s, "traffic_off_s"),
        ("rollback_within", "proof", "webhook to proven rollback", measured.rollback_s, "rollback_s"),
        ("recovered_within", "recovery", f"{start_of} to recovered", measured.recover_s, "recover_s"),
    )
    by_name, over_s = {link.name: link for link in links}, counted_over(timeline)
    for name, link_name, what, value, key in rows:
        kind = name.partition(" ")[0]
        limit = getattr(objectives, f"{kind}_s")
        if limit is not None:
            missing = _missing(by_name.get(link_name), measured.unmeasured.get(key, ""))
            limit += over_s.get(kind, 0.0)
            yield _deadline(name, what, value, limit, bound_s=measured.bounds_s.get(key, 0.0), missing=missing)


def counted_over(timeline: Timeline) -> dict[str, float]:
    """What each limit counts over in the environment of this drill, in seconds; see :class:`Objectives`."""
    began = timeline.first(Kind.DRILL_STARTED)
    return {name: float(over) for name, over in ((began.data.get("over_s") or {}) if began else {}).items()}


_TRAFFIC_OFF = "webhook to the last user served by the bad release"


def _missing(link: Link | None, unmeasured: str) -> tuple[Verdict, str]:
    """The verdict of a deadline without a duration, and why there is none."""
    if unmeasured:
        return Verdict.UNKNOWN, f"not known: {unmeasured}"
    known = link is not None and link.event is None
    return (link.verdict if link is not None and known else Verdict.UNKNOWN), "never seen"


def _deadline(
    name: str, what: str, value: float | None, limit: float, *, bound_s: float, missing: tuple[Verdict, str]
) -> Outcome:
    if value is None:
        verdict, why = missing
        return Outcome(objective=name, verdict=verdict, message=f"{what}: {why}, limit {limit:g} s", limit=limit)
    held = value <= limit
    message = f"{what}: {value:.2f} s {'<=' if held else '>'} {limit:g} s"
    verdict = Verdict.PASS if held else Verdict.FAIL
    if bound_s >= _CLOSE_S:
        message = f"{what}: {value:.2f} s, give or take {bound_s:.2f} s of clocks, limit {limit:g} s"
        if abs(value - limit) < bound_s:
            verdict, message = Verdict.UNKNOWN, f"{message}: too close to tell"
    return Outcome(objective=name, verdict=verdict, message=message, measured=value, limit=limit)


_CLOSE_S = 0.1  # clocks known better than this are as good as the looks at their events


def _steady_in_the_end(timeline: Timeline) -> Outcome:
    """The hypothesis itself: the last look at the steady state, after the fault, must have found it."""
    name, after = "hypothesis", since_injection(timeline)
    looks = [event for event in timeline.of(Kind.STEADY) if event.at >= after]
    if not looks:
        message = "the steady state was not looked at after the fault"
        return Outcome(objective=name, verdict=Verdict.UNKNOWN, message=message)
    verdict, said = Verdict(looks[-1].data.get("verdict", "UNKNOWN")), looks[-1].message
    if verdict is Verdict.WARN:  # it held; what smoke warns of all year round is no matter of this fault
        verdict, said = Verdict.PASS, f"{said}, with warnings"
    return Outcome(objective=name, verdict=verdict, message=f"in the end: {said}")
