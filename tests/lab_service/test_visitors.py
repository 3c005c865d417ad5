"""The visitors keep coming, whatever the target does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from lab.visitors.__main__ import visit_forever


async def visiting(target: str, rate: float, seconds: float) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    task = asyncio.create_task(visit_forever(target, rate, outcomes))
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return outcomes


def test_visits_come_at_the_asked_rate_and_are_all_good(replica):
    """Two seconds at 50/s are about a hundred visits, one in ten a write, over connections that are kept."""
    outcomes = asyncio.run(visiting(f"http://{replica.address}:8080", 50, 2))
    assert set(outcomes) == {"200", "202"}
    assert 80 <= outcomes.total() <= 101
    assert 7 <= outcomes["202"] <= 11
    assert replica.metric("x0tta6bl4_requests_total", method="POST", endpoint="/api/v1/messages") == outcomes["202"]


def test_a_target_that_is_down_is_counted_and_not_the_visitors_end():
    """Refused connections are outcomes like any other."""
    outcomes = asyncio.run(visiting("http://127.0.0.1:9", 50, 0.5))
    assert set(outcomes) == {"ConnectionRefusedError"}
    assert outcomes.total() > 10


def test_a_target_that_goes_and_comes_back_is_visited_again(replica, tmp_path):
    """Connections are opened again."""

    async def scenario():
        outcomes: Counter[str] = Counter()
        task = asyncio.create_task(visit_forever(f"http://{replica.address}:8080", 50, outcomes))
        await asyncio.sleep(0.4)
        replica.process.kill()
        replica.process.wait(5)
        await asyncio.sleep(0.4)
        again = type(replica)(tmp_path, replica.address, "again", {})
        try:
            before, deadline = outcomes["200"], time.monotonic() + 10
            while outcomes["200"] < before + 10 and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            assert outcomes["200"] >= before + 10
            assert outcomes["ConnectionRefusedError"] > 0
        finally:
            task.cancel()
            again.end()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "environment",
    [{}, {"TARGET": "127.0.0.1"}, {"TARGET": "http://x", "RATE": "0"}, {"TARGET": "http://x", "RATE": "a"}],
)
def test_a_target_or_rate_that_cannot_be_used_is_one_sentence(environment):
    """Exit 2."""
    ended = subprocess.run(
        [sys.executable, "-m", "lab.visitors"], env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 2
    assert "must be" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_sigterm_is_a_good_end():
    """Exit 0, without a traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.visitors"],
        env=os.environ | {"TARGET": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "visiting" in process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=5)
    assert process.returncode == 0
    assert "Traceback" not in told
