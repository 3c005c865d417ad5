"""When word of a fault may come: neither later than every window and interval explains, nor before one can have passed.

The word is the responder's webhook, or the page where no rollback is expected.
"""

from __future__ import annotations

from collections.abc import Iterable

from muster.judge.measure import Measured
from muster.judge.objectives import Objectives
from muster.judge.outcome import Outcome
from muster.timeline import Kind, Timeline
from muster.verdict import Verdict

DELIVERY_S = 2.0  # rule evaluated to webhook received, on a machine that has other things to do
_NAME = "predicted"


def as_predicted(timeline: Timeline, measured: Measured, objectives: Objectives) -> Iterable[Outcome]:
    """FAIL for too early and for too late; nothing where nothing is predicted, or no word came (its link says so)."""
    early = _too_early(timeline, measured)
    if early:
        took = measured.detect_from_injection_s
        yield Outcome(objective=_NAME, verdict=Verdict.FAIL, message=early, measured=took, limit=measured.window_s)
        return
    if objectives.gradual or measured.predicted_s is None:
        return
    low, high = measured.predicted_s
    predicted = f"predicted {low:.2f} to {high:.2f} s and {DELIVERY_S:g} s to deliver"
    if measured.word_s is None:
        if why := measured.unmeasured.get("word_s", ""):
            message = (
                f"fault to {'webhook' if objectives.action == 'rollback' else 'page'}: not known: {why}; {predicted}"
            )
            yield Outcome(objective=_NAME, verdict=Verdict.UNKNOWN, message=message, limit=high + DELIVERY_S)
        return
    took, bound_s = measured.word_s, measured.bounds_s.get("word_s", 0.0)
    held = took <= high + DELIVERY_S
    late = f", {measured.visible_s:.2f} s of target discovery apart" if measured.visible_s else ""
    word = "webhook" if measured.webhook_s is not None else "page"
    give = f", give or take {bound_s:.2f} s of clocks" if bound_s >= _CLOSE_S else ""
    yield Outcome(
        objective=_NAME,
        verdict=Verdict.PASS if held else Verdict.FAIL,
        message=f"fault to {word}{late}: {took:.2f} s{give}, {predicted}"
        + ("" if held else ": later than every window and interval explains"),
        measured=took,
        limit=high + DELIVERY_S,
    )


_CLOSE_S = 0.1  # clocks known better than this are as good as the looks at their events


def _too_early(timeline: Timeline, measured: Measured) -> str:
    """Why the alert cannot be this fault's; empty when it can.

    Counted from the injection, the earliest that anything can be its effect: a fault is seen to be in force only after
    it has begun to work. A scrape interval and the clocks' doubt are given.
    """
    took = measured.detect_from_injection_s
    if took is None or not measured.window_s:
        return ""
    began = timeline.first(Kind.DRILL_STARTED)
    scrape_s = float(began.data.get("scrape_s") or 0.0) if began else 0.0
    bound_s = measured.bounds_s.get("detect_from_injection_s", 0.0)
    if took >= measured.window_s - scrape_s - bound_s:
        return ""
    return (
        f"the alert fired {took:.2f} s after the fault was injected, before its window of {measured.window_s:g} s can "
        "have passed: another fault, or a rule without its `for`"
    )
