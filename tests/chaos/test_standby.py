"""The process that stands by for the next look."""

from __future__ import annotations

import os
import subprocess
import sys
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


def test_what_stood_by_runs_what_it_is_told_where_it_is_told(tmp_path, monkeypatch):
    """Arguments, environment and folder are those of the moment of the order, not of the start."""
    standby.prepare()
    (tmp_path / "test_here.py").write_text("import os\ndef test_it():\n    assert os.environ['WORD'] == 'now'\n")
    monkeypatch.chdir(tmp_path)
    with standby.take() as process:
        arguments = ["-q", "-p", "no:cacheprovider", "test_here.py"]
        output, _ = process.communicate(standby.order(arguments, {**os.environ, "WORD": "now"}), timeout=60)
    assert (process.returncode, b"1 passed" in output) == (0, True), output


def test_one_stands_by_however_often_it_is_asked_for():
    """It is taken once; a second look gets a process of its own."""
    standby.prepare()
    standby.prepare()
    first, second = standby.take(), standby.take()
    assert first.pid != second.pid
    for process in (first, second):
        process.communicate(timeout=60)  # the end of its input is the end of it
        assert process.returncode == 0


def test_one_that_died_is_replaced():
    """A standby that was killed meanwhile (memory, Ctrl-C) is no broken look."""
    standby.prepare()
    (dead,) = standby._ready
    dead.kill()
    dead.wait(10)
    with standby.take() as process:
        assert process.pid != dead.pid
        process.communicate(timeout=60)


def test_it_ends_with_whoever_started_it():
    """A drill that was killed with SIGKILL leaves none behind: its end of the pipe closes."""
    starter = (
        "import os, sys; from muster.chaos import standby; standby.prepare(); "
        "print(standby._ready[0].pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, timeout=60, check=False)
    pid = int(done.stdout)
    wait_until(lambda: _alive(pid), lambda alive: not alive, what="the standby lives on", timeout_s=60)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
