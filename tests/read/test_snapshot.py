"""A snapshot is one JSON file, and what comes back from it is what went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.errors import UsageError
from muster.snapshot import Failure, FailureKind, Reading, Snapshot

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def snapshot(**readings):
    return Snapshot(system="s", environment="e", time_scale=60.0, taken_at=1.5, took_s=0.1, readings=readings)


@given(JSON)
def test_any_value_survives_the_file(value):
    """Saved and loaded, a snapshot is equal to itself, and saves to the same text."""
    before = snapshot(x=Reading(name="x", source="http://x", at=1.0, took_s=0.2, value=value))
    after = Snapshot.from_json(before.to_json())
    assert after == before
    assert after.to_json() == before.to_json()


def test_a_failure_survives_the_file():
    """A typed failure is a typed failure again."""
    failed = Reading(name="x", source="", at=1.0, took_s=0.0, failure=Failure(FailureKind.STALE, "old"))
    assert Snapshot.from_json(snapshot(x=failed).to_json()).readings["x"] == failed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "is not a muster/snapshot/v1"),
        ('{"schema": "muster/summary/v1"}', "is a 'muster/summary/v1'"),
        ('{"schema": "muster/snapshot/v1", "readings": {"x": {}}}', "exactly one of"),
    ],
)
def test_another_file_is_refused_in_one_sentence(text, message):
    """What is no snapshot is a mistake of the user's, named."""
    with pytest.raises(UsageError, match=message):
        Snapshot.from_json(text, "file.json")


def test_a_value_that_json_cannot_hold_is_not_written():
    """NaN would come back as something else; readers turn it into a failure before."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        snapshot(x=Reading(name="x", source="", at=1.0, took_s=0.0, value=float("nan"))).to_json()
