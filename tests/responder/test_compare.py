"""Comparing costs a bounded time and never stops what the trigger asks for."""

import socket
import time

from muster.release import Monitor, condition_of
from muster.responder.compare import compare


def test_prometheus_that_does_not_answer_costs_half_a_second(system, make_env):
    """Users are being served badly meanwhile; nobody is blamed, and the record says why."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = make_env(prometheus=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with Monitor(env) as monitor:
            condition = condition_of(system, "X0TTA6BL4ErrorRatioRollback")
            began = time.monotonic()
            told = compare(
                monitor, env, condition, suspects=frozenset({"a"}), baseline=frozenset({"b"}), released=time.time()
            )
            took_s = time.monotonic() - began
    assert told.blames is None
    assert "did not answer" in told.message
    assert took_s < 2  # half a second, on a machine that has other things to do


def test_foreign_alert_or_no_prometheus_is_not_compared(system, make_env):
    """There is nothing to ask, or nobody."""
    env = make_env()
    nothing = {"suspects": frozenset(), "baseline": frozenset(), "released": 0.0}
    with Monitor(env) as monitor:
        assert "none of the facts" in compare(monitor, env, condition_of(system, "Unheard"), **nothing).message
        condition = condition_of(system, "X0TTA6BL4ErrorRatioRollback")
        assert "declares no Prometheus" in compare(monitor, env, condition, **nothing).message
