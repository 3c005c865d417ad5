"""Waiting is bounded, and its error carries the last state seen."""

import time

import pytest

from muster.wait import TimedOut, wait_until


def test_accepted_state_is_returned():
    """At once, without a pause."""
    assert wait_until(lambda: 17, lambda state: state == 17, what="never", timeout_s=0) == 17


def test_error_carries_the_last_state():
    """In the words of ``show``."""
    states = iter(range(1000))
    started = time.monotonic()
    with pytest.raises(TimedOut, match=r"not ready within 0\.05s: state ") as error:
        wait_until(
            lambda: next(states),
            lambda state: state < 0,
            what="not ready",
            timeout_s=0.05,
            every_s=0.01,
            show=lambda state: f"state {state}",
        )
    assert error.value.last.startswith("state ")
    assert time.monotonic() - started < 10


def test_what_was_reached_in_time_is_seen_by_a_look_after_the_time():
    """A look that was held up until the time was over is not the last one: nobody knows what became true meanwhile."""
    looks = []

    def slow():
        looks.append(time.sleep(0.2))
        return len(looks)

    assert wait_until(slow, lambda state: state == 2, what="never", timeout_s=0.05) == 2


def test_successes_must_come_in_a_row():
    """A flapping state is not a steady one."""
    states = iter([True, False, True, True])
    wait_until(lambda: next(states), bool, what="flaps", timeout_s=5, every_s=0.001, successes=2)
    assert next(states, "spent") == "spent"


def test_tolerated_error_is_the_last_state():
    """A server that does not answer yet; any other error passes through."""

    def _refuse():
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(TimedOut, match="nobody there"):
        wait_until(_refuse, bool, what="down", timeout_s=0.01, every_s=0.001, tolerate=(ConnectionError,))
    with pytest.raises(ConnectionRefusedError):
        wait_until(_refuse, bool, what="down", timeout_s=0.01)
