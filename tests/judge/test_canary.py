"""A canary that nobody would hear of: each verdict, and while nothing is tried there is none."""

import pytest

from muster.errors import Unknown
from muster.judge import Undeclared
from muster.judge import canary as judge

FOUND, NONE = {"requests_total": 2, "latency_bucket": 9}, {"requests_total": 0, "latency_bucket": 0}


def judged(series=FOUND, scraped=0, **changes):
    raw = {"deployment": "next", "ingress": "next", "share": 0.1, "ways": [], "wanted": 1, "ready": 1}
    raw |= {"ready_for_s": 60.0} | changes
    found = {"selector": 'app="wrong"', "series": series, "scraped": scraped, "settles_s": 12.5}
    judge.assert_its_series_are_found(judge.canary(raw), judge.canary_series(found))


def test_canary_whose_series_are_found_is_well():
    """However few users it has, and by whatever way."""
    judged()
    judged(share=0.0, ways=["by-header"])


def test_wrong_selector_is_a_fail_that_names_it():
    """Its triggers would be silent whatever it does."""
    with pytest.raises(AssertionError) as failed:
        judged(NONE)
    said = str(failed.value)
    for words in ("canary next, with 10% of the users", 'metric_selector app="wrong"', "no alert speaks of it"):
        assert words in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"series": NONE, "ready_for_s": 3.0}, "Prometheus may take 12 s"),
        ({"series": FOUND | {"requests_total": 0}}, "no series requests_total"),
        ({"ready": 0}, "no ready pod"),
        ({"series": NONE, "scraped": 1}, r"up: 1\): nobody has visited it yet, or .* other names"),
    ],
)
def test_what_cannot_be_told_yet_is_unknown(changes, words):
    """Too young, partly absent, nobody to have series, or found but without visitors: counters begin with the first."""
    with pytest.raises(Unknown, match=words) as unknown:
        judged(**changes)
    assert not isinstance(unknown.value, Undeclared)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"share": 0.0}, "gets no users"),
        ({"wanted": 0, "ready": 0}, "scaled to 0"),
        ({"series": {}}, "no rollback trigger"),
    ],
)
def test_while_nothing_is_tried_it_is_skipped_with_that_reason(changes, words):
    """Most of the time: a canary at weight 0 has no series, and needs none."""
    with pytest.raises(Undeclared, match=words):
        judged(**{"series": NONE} | changes)
