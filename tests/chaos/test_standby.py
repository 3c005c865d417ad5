"""The process that stands by for the next look."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from muster.chaos import standby
from muster.wait import wait_until


@pytest.fixture(autouse=True)
def nobody_left():
    """No process of a test outlives it."""
    standby.dismiss()
    yield
    standby.dismiss()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with one test, which says where and as whom it ran."""
    text = "import os\ndef test_it():\n    assert os.environ['WORD'] == 'now'\n    print('pid', os.getpid())\n"
    (tmp_path / "test_here.py").write_text(text)
    monkeypatch.chdir(tmp_path)


def run(one, word="now", **more):
    arguments = ["-q", "-s", "-p", "no:cacheprovider", "test_here.py"]
    return one.run(arguments, {**os.environ, "WORD": word}, **{"timeout_s": 60.0, **more})


def test_what_stood_by_runs_what_it_is_told_where_it_is_told(here):
    """Arguments, environment and folder are those of the moment of the order, not of the start."""
    one = standby.take()
    code, output = run(one)
    assert (code, "1 passed" in output) == (0, True), output
    assert run(one, "another")[0] == 1
    one.end()


def test_one_process_serves_every_look_and_each_look_is_a_fork_of_it(here):
    """Nothing is imported again for the second; it has one thread only, so that a fork inherits no lock."""
    one = standby.take()
    pids = {run(one)[1].partition("pid ")[2].split()[0] for _ in range(2)}
    assert len(pids | {str(one.process.pid)}) == 3
    assert len(list(Path(f"/proc/{one.process.pid}/task").iterdir())) == 1
    standby.give_back(one)
    assert standby.take() is one
    one.end()


def test_one_stands_by_however_many_are_given_back():
    """The second is ended."""
    first, second = standby.take(), standby.take()
    assert first.process.pid != second.process.pid
    for one in (first, second):
        standby.give_back(one)
    assert (first.alive, second.alive) == (True, False)


def test_one_that_died_is_replaced():
    """A standby that was killed meanwhile (memory, a person) is no broken look."""
    dead = standby.take()
    standby.give_back(dead)
    dead.process.kill()
    dead.process.wait(10)
    one = standby.take()
    assert one.process.pid != dead.process.pid
    one.end()


def test_a_look_that_is_given_up_or_dies_is_no_verdict_and_leaves_nothing(here, tmp_path):
    """Given up: no exit code. Killed with its process: a broken one. The fork that hangs is gone with it."""
    (tmp_path / "test_here.py").write_text(HANGS)
    for patience_s in (3.0, 30.0):  # on a busy machine the test may not have begun within the first
        one = standby.take()
        one.run(["--version"], dict(os.environ), timeout_s=60.0)  # from here on everything is imported
        assert run(one, timeout_s=patience_s) == (None, "")
        assert not one.alive
        if (tmp_path / "pid").exists():
            break
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: _alive(pid), lambda alive: not alive, what="the look hangs on", timeout_s=10)
    dead = standby.take()
    dead.process.kill()
    dead.process.wait(10)
    code, said = run(dead)
    assert (code, said) == (3, "the process that looks at the checks has died")


HANGS = """
import os, pathlib, time
def test_it():
    pathlib.Path('part').write_text(str(os.getpid()))
    os.rename('part', 'pid')
    time.sleep(600)
"""


def _pid_of_look(folder):
    wait_until((folder / "pid").exists, bool, what="no look begins", timeout_s=60)
    return int((folder / "pid").read_text())


def test_no_look_outlives_a_standby_that_died_and_was_reaped(here, tmp_path):
    """Its number is known to be its group's as long as a look of it lives."""
    (tmp_path / "test_here.py").write_text(HANGS)
    one = standby.take()
    order = {"argv": ["-q", "test_here.py"], "environ": dict(os.environ), "folder": str(tmp_path), "ends_after_s": 600}
    assert standby._write(one.process, json.dumps(order).encode() + b"\n", time.monotonic() + 60)
    pid = _pid_of_look(tmp_path)
    one.process.kill()
    one.process.wait(10)
    assert _alive(pid)
    one.end()
    one.end()
    wait_until(lambda: _alive(pid), lambda alive: not alive, what="the look hangs on", timeout_s=10)


def test_asking_whether_one_lives_does_not_give_its_number_away():
    """It is reaped by its end, so that until then nobody else is hit."""
    one = standby.take()
    one.process.kill()
    wait_until(lambda: one.alive, lambda alive: not alive, what="it lives on", timeout_s=10)
    assert one.process.returncode is None
    one.end()
    assert one.process.returncode == -signal.SIGKILL


def test_a_look_that_hangs_ends_also_when_whoever_ordered_it_was_killed(here, tmp_path):
    """Nobody is there to give it up: it has a bound of its own, and its process goes with it."""
    (tmp_path / "test_here.py").write_text(HANGS)
    starter = (
        "import os, threading; from pathlib import Path; from muster.chaos import standby\n"
        "one, standby._LEFT_S = standby.take(), 1.0\n"
        "print(one.process.pid, flush=True)\n"
        "one.run(['--version'], dict(os.environ), timeout_s=60.0)\n"  # has imported everything, however long it took
        "order = lambda: one.run(['-q', 'test_here.py'], dict(os.environ), timeout_s=8.0)\n"
        "threading.Thread(target=order, daemon=True).start()\n"
        "while not Path('pid').exists(): threading.Event().wait(0.02)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", starter], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=False
    )
    for pid in (_pid_of_look(tmp_path), int(done.stdout)):
        wait_until(lambda pid=pid: _alive(pid), lambda alive: not alive, what="a look hangs on", timeout_s=60)


def test_an_order_that_is_not_taken_is_given_up():
    """One that reads nothing (stopped, or still importing) does not hold up whoever orders more than a pipe holds."""
    one = standby.take()
    os.kill(one.process.pid, signal.SIGSTOP)
    assert one.run(["-q"], {"LARGE": "x" * 1_000_000}, timeout_s=0.5) == (None, "")
    assert not one.alive


def test_it_ends_with_whoever_started_it():
    """A drill that was killed with SIGKILL leaves none behind: its end of the pipe closes."""
    starter = (
        "import os; from muster.chaos import standby; "
        "print(standby.take().process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, timeout=60, check=False)
    pid = int(done.stdout)
    wait_until(lambda: _alive(pid), lambda alive: not alive, what="the standby lives on", timeout_s=60)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
