"""Silence of every experiment whose drill undoes the fault itself: what must be known of it, else it is UNKNOWN."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fulfilled as stories
import pytest

from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
CASES = {file.stem: stories.Case(file) for file in FILES}
outcome_of, shortened = stories.outcome_of, stories.shortened

UNDONE = [
    name
    for name, case in CASES.items()
    if case.promised.action == "by-hand"
    and {"page", "rollback"} & {*case.promised.must_not}
    and (case.promised.alert or not case.promised.unknown)
]
# What Prometheus measured while the fault was there for 6 s of the 8 that the alert takes: the ratio every 0.25 s.
MEASURED = {
    "well": (lambda _: 0.02, Verdict.PASS),
    "beyond its limit": (lambda _: 0.15, Verdict.UNKNOWN),
    "beyond it in the end": (lambda at: 0.15 if at > 3 else 0.02, Verdict.UNKNOWN),
    "well again, for long": (lambda at: 0.15 if at < 3 else 0.02, Verdict.PASS),
    "no data": (lambda _: None, Verdict.UNKNOWN),
    "no data but once": (lambda at: 0.02 if at == 3 else None, Verdict.UNKNOWN),
    "no data of a moment": (lambda at: None if 2 < at < 3 else 0.02, Verdict.PASS),
    "none before the fault was over": (lambda at: 0.02 if at > 7 else None, Verdict.UNKNOWN),
}


def measured(story, value):
    values = [(stories.T0 + step / 4, value(step / 4)) for step in range(60)]
    found = [pair for pair in values if pair[1] is not None]
    return story.lose("indicators").add(30.0, Kind.NOTE, source="indicators", indicators={"error_ratio": found})


@pytest.mark.parametrize("shape", MEASURED)
@pytest.mark.parametrize("name", UNDONE)
def test_a_fault_undone_at_will_proves_what_it_outlasted_or_left_well(name, shape):
    """However long it was listened to afterwards: neither is UNKNOWN, and so is a limit that was passed."""
    case, (value, verdict) = CASES[name], MEASURED[shape]
    loose = case.promised.model_copy(update={"outlast": ""})
    for story, expected in (
        (case.kept, Verdict.PASS),
        (stories.shortened(case.kept, case, 6.0).lose("indicators"), Verdict.UNKNOWN),
        (measured(stories.shortened(case.kept, case, 6.0), value), verdict),
    ):
        judged = judge(story.timeline(), loose, window_s=case.window_s, predicted_s=case.predicted_s)
        for what in {"page", "rollback"} & {*loose.must_not}:
            outcome = stories.outcome_of(judged, f"must_not {what}")
            assert outcome.verdict is expected, outcome.message
            assert (
                expected is Verdict.UNKNOWN
                or "outlasted: Slowest" in outcome.message
                or "error_ratio" in outcome.message
            )


@pytest.mark.parametrize("name", UNDONE)
def test_a_recording_that_does_not_say_which_alerts_might_act_proves_no_silence(name):
    """As one from before it was written down."""
    case = CASES[name]
    unsaid = case.kept.change(Kind.DRILL_STARTED, lambda e: replace(e, data={**e.data, "may_act": {}}))
    for what in case.promised.must_not:
        assert stories.outcome_of(case.judge(unsaid), f"must_not {what}").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.promised.outlast])
def test_silence_that_did_not_last_proves_nothing(name):
    """Undone before the alert could have told: whether it would have is UNKNOWN."""
    case = CASES[name]
    early = case.kept.change(Kind.HEALED, lambda event: replace(event, at=stories.T0 + 1.6))
    judgement = case.judge(early)
    for what in case.promised.must_not:
        assert stories.outcome_of(judgement, f"must_not {what}").verdict is Verdict.UNKNOWN
