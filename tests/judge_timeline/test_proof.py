"""What an indicator's recorded values prove of an alert whose time the fault was too short for."""

from __future__ import annotations

import pytest

from muster.judge.objectives import parse_objectives
from muster.judge.proof import in_words, silent
from muster.timeline import Kind

FACTS = {
    "slo": "cpu", "bound": 0.8, "below": False, "unit": "ratio",
    "window_s": 5.0, "told_s": 11.0, "notified_s": 3.0, "adds_up": True,
}  # fmt: skip
T0, UNTIL = 1_000_000.0, 5.0  # the fault is in force from 1 to 5
BY_HAND = parse_objectives({"name": "muster", "must_not": ["page"], "action": "by-hand"}, where="test")


@pytest.fixture
def proven(make):
    """``proven(value, facts=..., extra=[...], error="", what_not="page")`` -> what is known of that alert."""

    def prove(value, *, facts=None, extra=(), error="", what_not="page", objectives=BY_HAND):
        told = {"may_act": {what_not: {"A": FACTS | (facts or {})}}, "evaluation_s": 0.25, "scrape_s": 0.25}
        values = [(T0 + step / 4, value(step / 4)) for step in range(40)]
        story = (
            (-1.0, Kind.DRILL_STARTED, told),
            (0.0, Kind.FAULT_INJECTED, {}),
            (1.0, Kind.FAULT_CONFIRMED, {}),
            (UNTIL, Kind.HEALED, {}),
            (9.0, Kind.NOTE, {"source": "indicators", "indicators": {"cpu": values}, "error": error}),
            *extra,
        )
        (alert,) = silent(make(story=story), objectives, what_not)
        return alert

    return prove


def test_the_part_of_a_window_that_the_fault_filled_is_counted_up(proven):
    """4 s of 5: 60% may be 75% of a whole window, which is under 80%; 70% may be 87%."""
    assert proven(lambda _: 0.6).unknown == ""
    assert "of which the fault filled 4.0 s" in proven(lambda _: 0.7).unknown


def test_a_quantile_of_a_part_says_nothing_of_the_whole(proven):
    """However small; one over a window that the fault filled does."""
    part = {"adds_up": False, "unit": "seconds"}
    assert "of which the fault filled 4.0 s" in proven(lambda _: 0.01, facts=part).unknown
    assert proven(lambda _: 0.01, facts=part | {"window_s": 1.0}).unknown == ""


def test_where_small_values_are_bad_large_ones_are_well(proven):
    """The other side of the limit, and its own word for the worst."""
    low = {"below": True, "window_s": 0.0}
    assert "at least 90%" in in_words([proven(lambda _: 0.9, facts=low)])
    assert "cpu was 70%" in proven(lambda at: 0.7 if at > 4 else 0.9, facts=low).unknown


@pytest.mark.parametrize(
    ("what_not", "later", "words"),
    [
        ("page", [(16.0, Kind.ALERT_RESOLVED, {"alert": "A"})], ""),
        ("page", [(6.0, Kind.ALERT_RESOLVED, {"alert": "A"})], "fired for 2.0 s only, and its word may take 3.0 s"),
        ("rollback", [(4.5, Kind.DECIDED, {"alert": "A", "decision": "refuse", "final": True})], ""),
        ("rollback", [(4.5, Kind.DECIDED, {"alert": "A", "decision": "refuse", "final": False})], "no final decision"),
        ("rollback", [(16.0, Kind.ALERT_RESOLVED, {"alert": "A"})], "the responder made no final decision on it"),
    ],
)
def test_an_alert_that_fired_proves_silence_only_where_it_has_had_its_say(proven, what_not, later, words):
    """An undo that ends it before its group's wait, or a webhook that never came, is no silence."""
    fired = proven(lambda _: 0.9, what_not=what_not, extra=[(4.0, Kind.ALERT_FIRING, {"alert": "A"}), *later])
    assert fired.fired
    assert words in fired.unknown
    assert bool(fired.unknown) is bool(words)


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ([(7.0, Kind.ALERT_RESOLVED, {"alert": "A"})], ""),
        ([(6.0, Kind.ALERT_RESOLVED, {"alert": "A"})], "fired for 2.0 s only, and its word may take 3.0 s"),
        ([(5.0, Kind.WEBHOOK_RECEIVED, {"alert": "A"})], "the responder made no final decision on it"),
    ],
)
def test_where_the_responder_is_promised_to_hear_nothing_its_silence_is_listened_to(proven, later, words):
    """Alertmanager is away: nothing can be decided; the alert fired for long enough, and nothing came of it."""
    promised = BY_HAND.model_copy(update={"breaks": {"page": "Alertmanager"}})
    story = [(4.0, Kind.ALERT_FIRING, {"alert": "A"}), *later]
    fired = proven(lambda _: 0.9, what_not="rollback", extra=story, objectives=promised)
    assert words in fired.unknown
    assert bool(fired.unknown) is bool(words)


def test_an_alert_that_fires_since_before_the_fault_proves_nothing(proven):
    """It cannot fire again, and nobody is paged again: however long the fault was there; one that was over can."""
    long_ago = [(-9.0, Kind.ALERT_FIRING, {"alert": "A"})]
    short = {"told_s": 1.0}
    assert "could not tell again" in proven(lambda _: 0.1, facts=short, extra=long_ago).unknown
    over = [*long_ago, (-5.0, Kind.ALERT_RESOLVED, {"alert": "A"})]
    assert proven(lambda _: 0.1, facts=short, extra=over).unknown == ""


def test_prometheus_that_did_not_answer_in_the_end_leaves_it_unknown(proven):
    """And its word is in the sentence."""
    assert "connection refused" in proven(lambda _: 0.1, error="connection refused").unknown


def test_of_one_indicator_the_strictest_limit_is_said_once(proven):
    """For two alerts that stand on it."""
    both = [proven(lambda _: 0.1, facts={"bound": bound}) for bound in (0.95, 0.8)]
    assert in_words(both) == "seen well: cpu at most 10% (limit 80%)"
