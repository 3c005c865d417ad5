"""Comparing costs a bounded time and never stops what the trigger asks for."""

import socket
import time

from quick import quick

from muster.release import Monitor, condition_of
from muster.responder.compare import compare


def test_prometheus_that_does_not_answer_costs_half_a_second(system, make_env):
    """Users are being served badly meanwhile; nobody is blamed, and the record says why."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = make_env(prometheus=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with Monitor(env) as monitor:
            condition = condition_of(system, "X0TTA6BL4ErrorRatioRollback")
            given = {"suspects": frozenset({"a"}), "baseline": frozenset({"b"}), "released": time.time()}
            told = quick(lambda: compare(monitor, env, condition, **given), under_s=2)
    assert told.blames is None
    assert "did not answer" in told.message


def test_foreign_alert_or_no_prometheus_is_not_compared(system, make_env):
    """There is nothing to ask, or nobody."""
    env = make_env()
    nothing = {"suspects": frozenset(), "baseline": frozenset(), "released": 0.0}
    with Monitor(env) as monitor:
        assert "none of the facts" in compare(monitor, env, condition_of(system, "Unheard"), **nothing).message
        condition = condition_of(system, "X0TTA6BL4ErrorRatioRollback")
        assert "declares no Prometheus" in compare(monitor, env, condition, **nothing).message
