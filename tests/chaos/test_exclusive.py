"""One experiment at a time in one environment."""

import pytest

from muster.chaos.exclusive import Exclusive
from muster.errors import MusterError


def test_a_second_experiment_is_refused_until_the_first_has_ended(tmp_path, monkeypatch):
    """The sentence names the place and the process; another environment is free; the end frees the place."""
    monkeypatch.setenv("MUSTER_STATE", str(tmp_path))
    with Exclusive("s", "lab"):
        with (
            pytest.raises(MusterError, match=r"another experiment runs on s/lab \(process \d+\)"),
            Exclusive("s", "lab"),
        ):
            raise AssertionError("two at once")
        with Exclusive("s", "staging"):
            pass
    with Exclusive("s", "lab"):
        pass
