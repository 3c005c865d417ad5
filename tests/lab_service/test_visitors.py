"""The visitors keep coming, whatever the target does."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import pytest

from lab.visitors.__main__ import visit_forever


async def until(condition, what: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def visiting(target: str, rate: float, seconds: float) -> tuple[Counter[str], float]:
    """What came of the visits of so long, and how long it was until they were nearly as many as were due.

    What is due while the machine stands still is made up for at once; whoever visits too seldom never gets there.
    """
    outcomes: Counter[str] = Counter()
    began = time.monotonic()
    task = asyncio.create_task(visit_forever(target, rate, outcomes))
    await asyncio.sleep(seconds)
    await until(lambda: outcomes.total() >= 0.8 * rate * (time.monotonic() - began), "too few visits")
    took_s = time.monotonic() - began
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return outcomes, took_s


def test_visits_come_at_the_asked_rate_and_are_all_good(replica):
    """Two seconds at 50/s are about a hundred visits, one in ten a write, over connections that are kept."""
    outcomes, took_s = asyncio.run(visiting(f"http://{replica.address}:8080", 50, 2))
    assert set(outcomes) == {"200", "202"}
    assert 80 <= outcomes.total() <= 50 * took_s + 1
    tenth = outcomes.total() // 10
    assert tenth - 1 <= outcomes["202"] <= tenth + 1
    written = replica.metric("x0tta6bl4_requests_total", method="POST", endpoint="/api/v1/messages")
    assert written - outcomes["202"] in (0, 1)  # one may have been on its way when the visits ended


def test_a_target_that_is_down_is_counted_and_not_the_visitors_end():
    """Refused connections are outcomes like any other."""
    outcomes, _ = asyncio.run(visiting("http://127.0.0.1:9", 50, 0.5))
    assert set(outcomes) == {"ConnectionRefusedError"}
    assert outcomes.total() > 10


def test_a_target_that_goes_and_comes_back_is_visited_again(replica, tmp_path):
    """Connections are opened again."""

    async def scenario():
        outcomes: Counter[str] = Counter()
        task = asyncio.create_task(visit_forever(f"http://{replica.address}:8080", 50, outcomes))
        await until(lambda: outcomes["200"] > 0, "not one visit")
        replica.process.kill()
        replica.process.wait(20)
        await until(lambda: outcomes["ConnectionRefusedError"] > 0, "the loss was not met")
        again = type(replica)(tmp_path, replica.address, "again", {})
        try:
            before = outcomes["200"]
            await until(lambda: outcomes["200"] >= before + 10, "it is not visited again")
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
    with socket.create_server(("127.0.0.1", 0)) as target:
        target.settimeout(30)
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.visitors"],
            env=os.environ | {"TARGET": f"http://127.0.0.1:{target.getsockname()[1]}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert "visiting" in process.stdout.readline()
        target.accept()[0].close()  # whoever visits hears signals by now
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in told
