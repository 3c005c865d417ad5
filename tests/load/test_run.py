"""Locust as a subprocess: what it offers, what it writes, where it may go, and that it ends."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys

import psutil
import pytest

from muster.errors import UsageError
from muster.load import Load, LoadError
from muster.wait import wait_until


@pytest.fixture
def start(env_at, tmp_path):
    """``start(url, ...)`` -> Load; stopped in the end."""
    begun = []

    def begin(url, *, rate=100, users=5, **more):
        begun.append(Load.start(env_at(url), rate=rate, users=users, folder=tmp_path, **more))
        return begun[-1]

    yield begin
    for load in begun:
        load.stop()


def seconds_of(load, count):
    """The next so many seconds in which requests ended."""
    got = []
    wait_until(
        lambda: got.extend(second for second in load.new_seconds() if second.requests) or len(got),
        lambda n: n >= count,
        what="figures",
        timeout_s=60,
    )
    return got


def test_the_rate_is_kept_and_each_second_is_written(start, web):
    """100 requests a second are offered, answered and counted, with their exact P95, and none is missing."""
    load = start(web.url)
    load.wait_flowing()
    list(load.new_seconds())
    seconds = []

    def kept():  # the machine may stand still in some second; who cannot keep a rate never does for three of them
        seconds.extend(load.new_seconds())
        return any(all(90 <= one.requests <= 110 for one in seconds[at - 3 : at]) for at in range(3, len(seconds) + 1))

    wait_until(kept, bool, what="three seconds at the rate", timeout_s=60, show=lambda _: str(seconds))
    assert all(second.errors == 0 for second in seconds)
    assert all(second.p95_ms > 0 for second in seconds if second.requests)
    assert all(later.at - earlier.at == 1 for earlier, later in itertools.pairwise(seconds))
    assert {path.split("?")[0] for path in web.paths} == {"/api/v1/ping", "/api/v1/route", "/api/v1/messages"}


def test_failed_requests_are_errors(start, web):
    """A 500 counts as a request and as an error."""
    web.status = 500
    assert all(second.errors == second.requests for second in seconds_of(start(web.url), 3))


def test_redirects_do_not_lead_load_elsewhere(start, web, env_at):
    """A redirect to another host is not followed: load goes only where it is allowed."""
    web.status, web.location = 302, "http://127.0.0.1:1/"
    load = start(web.url)
    seconds_of(load, 3)
    assert load.failure() == ""


def test_a_host_that_is_down_shows_as_errors_not_as_silence(start):
    """Refused connections are failed requests of that second."""
    assert all(second.errors == second.requests for second in seconds_of(start("http://127.0.0.1:1"), 3))


def test_stop_ends_the_process_and_is_no_failure(start, web):
    """SIGTERM ends Locust; stopping twice is fine, and what was asked for is no failure."""
    load = start(web.url)
    load.wait_flowing()
    load.stop()
    load.stop()
    assert not psutil.pid_exists(load.pid)
    assert load.failure() == ""


def test_a_frozen_locust_is_killed(start, web):
    """A process that does not answer SIGTERM is gone after SIGKILL."""
    load = start(web.url)
    load.wait_flowing()
    os.kill(load.pid, signal.SIGSTOP)
    load.stop()
    assert not psutil.pid_exists(load.pid)


def test_a_locust_that_dies_is_a_failure_that_stays(start, web):
    """An end that nobody asked for is said, before and after stop()."""
    load = start(web.url)
    load.wait_flowing()
    os.kill(load.pid, signal.SIGKILL)
    wait_until(load.failure, bool, what="the failure", timeout_s=30)
    load.stop()
    assert "ended by itself with exit code -9" in load.failure()


def test_a_locust_that_cannot_run_says_its_last_words(start, web, tmp_path, monkeypatch):
    """A broken locustfile ends the wait at once, with Locust's own message."""
    (tmp_path / "loadtests").mkdir()
    (tmp_path / "loadtests" / "locustfile.py").write_text("raise RuntimeError('no users today')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LoadError, match="no users today"):
        start(web.url).wait_flowing()


def test_load_ends_when_whoever_asked_for_it_is_killed(web, tmp_path):
    """SIGKILL of the starter leaves no Locust behind for longer than a moment."""
    program = (
        "import sys, time; from pathlib import Path; from muster.load import Load\n"
        "from muster.system.environment import Environment, Guard\n"
        f"env = Environment(name='t', description='t', http={web.url!r}, guard=Guard(allow_load=True))\n"
        f"load = Load.start(env, rate=20, users=2, folder=Path({str(tmp_path)!r}))\n"
        "load.wait_flowing(); print(load.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as starter:
        pid = int(starter.stdout.readline())
        starter.kill()
    wait_until(lambda: psutil.pid_exists(pid), lambda alive: not alive, what="Locust's end", timeout_s=30)


def test_load_bounds_itself(start, web):
    """Even when nobody stops it, the load ends at its time limit."""
    load = start(web.url, limit_s=2)
    wait_until(load.failure, bool, what="an end by itself", timeout_s=30)


@pytest.mark.parametrize(
    ("url", "allow", "words"),
    [
        ("http://127.0.0.1:1", False, "does not allow load"),
        ("", True, "declares no http"),
        ("ftp://127.0.0.1", True, "not an http address"),
    ],
)
def test_load_goes_only_where_the_environment_allows(env_at, tmp_path, url, allow, words):
    """Without permission or address nothing is started, and one sentence says why."""
    with pytest.raises(UsageError, match=words):
        Load.start(env_at(url, allow_load=allow), rate=1, users=1, folder=tmp_path)
