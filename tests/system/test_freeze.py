"""Freezes say, for a moment that is given, whether something may be changed."""

from datetime import datetime

import pytest
import yaml
from pydantic import ValidationError

from muster.system.freeze import Freeze, frozen


def at(text):
    return datetime.fromisoformat(text).timestamp()


CHRISTMAS = Freeze.model_validate(
    {"from": "2026-12-23T18:00:00+01:00", "until": "2026-12-27T06:00:00Z", "why": "nobody is in the office"}
)
WEEKEND = Freeze.model_validate({"from": "Fri 16:00", "until": "Mon 08:00", "why": "the weekend"})


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-12-23T16:59:59Z", False),
        ("2026-12-23T17:00:00Z", True),
        ("2026-12-27T05:59:59Z", True),
        ("2026-12-27T06:00:00Z", False),
    ],
)
def test_dated_window_begins_with_from_and_until_is_free_again(moment, inside):
    """Each with its own offset."""
    assert (CHRISTMAS.ends(at(moment)) is not None) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-20T15:59:59Z", False),  # a Friday
        ("2026-11-20T16:00:00Z", True),
        ("2026-11-22T12:00:00Z", True),
        ("2026-11-23T07:59:59Z", True),  # in the week after the one it began in
        ("2026-11-23T08:00:00Z", False),
        ("2026-11-25T12:00:00Z", False),
    ],
)
def test_weekly_window_may_reach_over_the_end_of_a_week(moment, inside):
    """From Friday to Monday is a weekend, not the rest of the week."""
    assert (WEEKEND.ends(at(moment)) is not None) is inside


def test_weekly_window_follows_summer_time_of_its_zone():
    """Two in the afternoon in Berlin is another hour of UTC in July than in January."""
    lunch = Freeze.model_validate({"from": "Wed 12:00", "until": "Wed 14:00", "why": "x", "zone": "Europe/Berlin"})
    assert lunch.ends(at("2026-07-01T11:59:00Z")) == at("2026-07-01T12:00:00Z")
    assert lunch.ends(at("2026-01-07T12:59:00Z")) == at("2026-01-07T13:00:00Z")


def test_of_several_windows_the_last_end_is_told():
    """Until then it stays so; outside all of them nothing is said."""
    moment = at("2026-12-25T23:00:00Z")  # a Friday, in both
    assert frozen([CHRISTMAS, WEEKEND], moment) == "changes are frozen until 2026-12-28T08:00:00Z: the weekend"
    assert frozen([CHRISTMAS, WEEKEND], at("2026-11-25T12:00:00Z")) == ""
    assert frozen([], moment) == ""


def test_time_without_quotes_is_a_time_too():
    """YAML reads it as one before anybody else does."""
    raw = yaml.safe_load("{from: 2026-12-24T00:00:00Z, until: 2026-12-25T00:00:00Z, why: x}")
    assert Freeze.model_validate(raw).ends(at("2026-12-24T12:00:00Z")) == at("2026-12-25T00:00:00Z")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"from": "soon"}, "'soon' is neither a time"),
        ({"from": "2026-12-24T00:00:00"}, "with its offset"),
        ({"from": "Fry 16:00"}, "no weekday"),
        ({"from": "Fri 16:00"}, "one of a kind"),
        ({"until": "2026-12-23T00:00:00Z"}, "not after from"),
        ({"from": "Fri 16:00", "until": "fri 16:00"}, "neither always nor never"),
        ({"zone": "Mars/Olympus"}, "no time zone"),
        ({"why": ""}, "at least 1 character"),
    ],
)
def test_window_that_cannot_be_meant_is_refused_with_a_sentence(changes, sentence):
    """A freeze that never holds would be noticed when it is too late."""
    given = {"from": "2026-12-24T00:00:00Z", "until": "2026-12-25T00:00:00Z", "why": "x", **changes}
    with pytest.raises(ValidationError, match=sentence):
        Freeze.model_validate(given)
