"""A rollback is proven, and has helped: two facts. A drill passes only with both, by the responder's own word."""

from __future__ import annotations

import pytest

from muster.judge.helped import told
from muster.judge.timeline import judge
from muster.timeline import Kind
from muster.verdict import Verdict

ALERT = "X0TTA6BL4ErrorRatioRollback"
GONE, ESCALATED = Kind.SYMPTOM_GONE, Kind.ESCALATED
KEYED = (6.6, Kind.DECIDED, {"alert": ALERT, "decision": "roll back", "key": "ours"})
STAYED = "error_ratio is still 15%"
SAID = {
    "gone": ([(8.8, GONE, {"verdict": "PASS"})], "PASS", "the symptom was gone"),
    "stayed": ([(8.8, GONE, {"verdict": "FAIL", "message": STAYED})], "FAIL", STAYED),
    "could not be read": ([(8.8, GONE, {"verdict": "UNKNOWN", "message": "no value"})], "UNKNOWN", "no value"),
    "never said": ([], "UNKNOWN", "never said"),
    "said before the fault": ([(-3.0, GONE, {"verdict": "PASS"})], "UNKNOWN", "never said"),
    "said of another alert": ([(8.8, GONE, {"verdict": "PASS", "alert": "Other"})], "UNKNOWN", "never said"),
    "of an earlier rollback": ([(8.8, GONE, {"verdict": "PASS", "key": "theirs"})], "UNKNOWN", "never said"),
    "of this one": ([(8.8, GONE, {"verdict": "PASS", "key": "ours"})], "PASS", "the symptom was gone"),
    "escalated": ([(8.8, GONE, {"verdict": "PASS"}), (9.0, ESCALATED, {"message": "paged cto"})], "FAIL", "paged cto"),
    "an old one escalated": (
        [(8.8, GONE, {"verdict": "PASS", "key": "ours"}), (9.0, ESCALATED, {"key": "theirs"})],
        "PASS",
        "the symptom was gone",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_whether_a_rollback_helped_is_what_the_responder_says(make, rollback, outcome_of, name):
    """PASS, FAIL or UNKNOWN as it says, of this drill's rollback; silence is UNKNOWN, an escalation a failure."""
    said, verdict, words = SAID[name]
    keyed = any("key" in data for _, _, data in said)
    extra = [(at, kind, {"alert": ALERT, **data}) for at, kind, data in said] + ([KEYED] if keyed else [])
    timeline = make(drop=(GONE, Kind.DECIDED) if keyed else (GONE,), extra=extra)
    judgement = judge(timeline, rollback, window_s=5.0)
    outcome = outcome_of(judgement, "symptom")
    assert (outcome.verdict, judgement.verdict) == (verdict, verdict)
    assert words in outcome.message
    assert judgement.broken == ("" if verdict == "PASS" else "symptom")


def test_a_responder_that_could_not_be_read_has_said_nothing(make, rollback, outcome_of):
    """UNKNOWN, with the reason."""
    timeline = make(drop=(GONE,), notes={"responder": {"error": "timed out"}})
    outcome = outcome_of(judge(timeline, rollback, window_s=5.0), "symptom")
    assert outcome.verdict is Verdict.UNKNOWN
    assert "timed out" in outcome.message


def test_only_a_rollback_has_a_symptom_to_lose(make, quiet, killed):
    """Where none is promised, nobody says so, and nobody is asked."""
    judgement = judge(make(story=killed, rps=(500, 0)), quiet)
    assert "symptom" not in {outcome.objective for outcome in judgement.outcomes}


def test_the_recording_knows_when_the_responder_has_had_its_say(make):
    """With either word."""
    assert told(make(), ALERT)
    assert not told(make(drop=(GONE,)), ALERT)
    assert told(make(drop=(GONE,), extra=[(9.0, ESCALATED, {"alert": ALERT})]), ALERT)
