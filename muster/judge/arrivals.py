"""Did the users of a drill come as they were ordered, and who is to blame for the requests that nobody sent?

A drill whose users did not come proves nothing about them. The words and thresholds are those of ``make load``
(:mod:`~muster.judge.generator`), with one thing more: in a drill something is broken on purpose, so

- what the generator dropped by itself, or while its core was saturated, is the generator's doing;
- what was dropped while **nothing** was broken (before the fault, and from recovery on; after the fault's end where
  there was none) while all cores were busy is the machine's: it cannot hold this rate beside a drill at all;
- what was dropped because the broken system kept every user waiting is the system's doing. Nobody is excused by it:
  each such request counts as failed (:mod:`~muster.judge.users`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from muster.judge import generator
from muster.judge.figures import seconds
from muster.judge.link import since_injection, source
from muster.judge.objectives import LoadOrder, Objectives
from muster.judge.outcome import Outcome
from muster.judge.seconds import LoadSecond
from muster.judge.served import LAST_S
from muster.timeline import Kind, Timeline
from muster.verdict import Verdict

MOST_UNSENT = 0.01  # of what was due, as for make load: fewer never sent change no number that is judged
SILENT_S = 3.0  # at the end of a drill; a second is told well within one
NAME = "load"


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Of the users' requests from the fault to the end, in requests; rates in requests/s.

    ``unsent``: due, and never sent; ``held`` of them because the system kept every user waiting. ``doubt``: why that
    may be the generator's or its machine's doing, a phrase; empty when it is the system's. ``busy``: that all cores
    were busy meanwhile, a phrase or empty: the system's doing then, but perhaps not its fault.
    """

    ordered: float
    due: int
    unsent: int
    held: int
    sent_rps: float
    worst: LoadSecond
    doubt: str = ""
    busy: str = ""

    @property
    def unsent_ratio(self) -> float:
        """Share of what was due."""
        return self.unsent / self.due if self.due else 0.0

    @property
    def failed(self) -> int:
        """Requests that count as failed though none was sent: those that the system let nobody send."""
        return 0 if self.doubt else self.held


def arrivals(timeline: Timeline, order: LoadOrder) -> Arrivals | None:
    """What became of what was due since the fault; None where the generator told nothing of it."""
    found = seconds(timeline, since_injection(timeline))
    if not found or not any(second.offered for second in found):
        return None
    due, unsent = (sum(getattr(second, key) for second in found) for key in ("offered", "dropped"))
    doubt = _too_few_due(timeline, found, order.rate, due)
    if not doubt and unsent > MOST_UNSENT * due:
        doubt = _doubt(timeline, found, order)
    return Arrivals(
        ordered=order.rate,
        due=due,
        unsent=unsent,
        held=sum(second.held_dropped for second in found),
        sent_rps=sum(second.sent for second in found) / len(found),
        worst=max(found, key=lambda second: second.dropped),
        doubt=doubt,
        busy=_full(found, _promised_s(timeline)),
    )


def came(timeline: Timeline, objectives: Objectives, found: Arrivals | None) -> tuple[Outcome, ...]:
    """The objective ``load``; nothing for an experiment without users."""
    if objectives.load is None:
        return ()
    load = source(timeline, "load")
    if found is None or not load.readable:
        why = "" if load.readable else f"the load generator failed ({load.error})"
        message = _not_told(timeline, why)
        return (Outcome(objective=NAME, verdict=Verdict.UNKNOWN, message=message, limit=MOST_UNSENT),)
    in_time = f"{found.due - found.unsent:,} of {found.due:,} requests were sent ({1 - found.unsent_ratio:.2%})"
    worst = f"in the worst second {found.worst.dropped:,} were given up" if found.worst.dropped else ""
    if found.doubt:
        said = f"users did not come as ordered: {found.ordered:,.0f}/s were ordered, {found.sent_rps:,.0f}/s sent on "
        said += "; ".join(filter(None, (f"average, {in_time}", worst, found.doubt)))
        verdict = Verdict.UNKNOWN
    elif found.unsent_ratio <= MOST_UNSENT:
        said, verdict = "; ".join(filter(None, (f"users came as ordered: {in_time}", worst))), Verdict.PASS
    else:
        said = f"users came as ordered, but {found.unsent:,} of {found.due:,} requests ({found.unsent_ratio:.2%}) "
        said += "could not be sent while the system was broken, because every user waited for it: they count as failed"
        perhaps = f"that may have been the machine's doing as well: {found.busy}" if found.busy else ""
        said, verdict = "; ".join(filter(None, (said, worst, perhaps))), Verdict.PASS
    ratio = round(found.unsent_ratio, 5)
    return (Outcome(objective=NAME, verdict=verdict, message=said, measured=ratio, limit=MOST_UNSENT),)


def _not_told(timeline: Timeline, why: str) -> str:
    if timeline.first(Kind.FAULT_INJECTED) is None:
        return "whether users came as ordered was not asked: no fault was injected"
    return f"whether users came as ordered is not known: {why or 'the load generator told of no request that was due'}"


def _too_few_due(timeline: Timeline, found: Sequence[LoadSecond], rate: float, due: int) -> str:
    """Whether the schedule itself was not followed, or not told of to the end: a phrase, or empty."""
    planned = rate * (found[-1].at + 1 - found[0].at)
    if due + rate < generator.LEAST_OFFERED * planned:  # seconds are cut by the generator's clock: give or take one
        return f"only {due:,} of {planned:,.0f} requests fell due in time"
    ended = timeline.first(Kind.DRILL_ENDED)
    silent_s = ended.at - (found[-1].at + 1) if ended is not None else 0.0
    return f"the load generator told nothing of the last {silent_s:.0f} s" if silent_s > SILENT_S else ""


def _doubt(timeline: Timeline, found: Sequence[LoadSecond], order: LoadOrder) -> str:
    dropping = [second for second in found if second.dropped]
    doubts = [*_own(found), *generator.saturated(dropping), *generator.exhausted(found)]
    if any(second.held_dropped for second in dropping):
        doubts += generator.too_few_users(order.users, order.rate, latency_limit_s=_promised_s(timeline))
    if doubts:
        blamed = f"the generator was the bottleneck: {'; '.join(doubts)}"
        return "; ".join(filter(None, (_full(found, _promised_s(timeline)), blamed)))
    calm, name = _calm(timeline, found), "while nothing was broken"
    if not calm:
        calm, name = list(found), "and the system was not seen well again"
    unsent, due = (sum(getattr(second, key) for second in calm) for key in ("dropped", "offered"))
    full = _full(calm, _promised_s(timeline)) if unsent > MOST_UNSENT * due else ""
    return f"{full} ({unsent:,} of {due:,} were never sent {name})" if full else ""


def _own(found: Sequence[LoadSecond]) -> list[str]:
    """What the generator dropped by itself. What it sent late came late, and is in the latencies."""
    own, due = sum(second.dropped - second.held_dropped for second in found), sum(second.offered for second in found)
    return [f"it missed {own / due:.2%} of its schedule"] if own > MOST_UNSENT * due else []


def _calm(timeline: Timeline, found: Sequence[LoadSecond]) -> list[LoadSecond]:
    """The seconds in which nothing was broken: before the fault, and since users were seen well again.

    Where they were not, since the fault's end: a rollback that was proven, else a fault that was healed. Empty where
    nobody knows of such a second after the fault: then none says what the machine can hold.
    """
    injected = since_injection(timeline)
    before = seconds(timeline, injected - LAST_S - 1, injected - 1)
    recovered = timeline.first(Kind.RECOVERED, after=injected)
    ended = timeline.first(Kind.ROLLBACK_PROVEN, after=injected, verdict="PASS")
    ended = ended or timeline.first(Kind.HEALED, after=injected)
    well = recovered.at - LAST_S if recovered is not None else ended.at if ended is not None else float("inf")
    after = [second for second in found if second.at >= well]
    return [*before, *after] if after else []


def _full(found: Sequence[LoadSecond], latency_s: float | None) -> str:
    return generator.machine_full([second for second in found if second.dropped], latency_limit_s=latency_s, advice="")


def _promised_s(timeline: Timeline) -> float | None:
    """The P95 that the system promises, as the recording says."""
    begun = timeline.first(Kind.DRILL_STARTED)
    found = begun.data.get("promised_p95_s") if begun is not None else None
    return None if found is None else float(found)
