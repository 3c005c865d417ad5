"""Records find what a killed daemon left running, and nothing else."""

import json
import os

import psutil

from lab.daemon import records
from lab.daemon.sweep import sweep

SLEEP = "print('ready', flush=True); import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    " print('ready', flush=True); print(child.pid, flush=True); child.wait()"
)


def test_a_recorded_process_is_found_and_ended(folder, python, is_running):
    """What is on record and still runs is ended by a sweep, and its record is gone."""
    child = python(SLEEP)
    records.write(folder.records, "api", child.pid, ["python"])
    sweep(folder)
    assert not is_running(child.pid)
    assert records.read_all(folder.records) == []


def test_a_process_that_ignores_sigterm_is_killed(folder, python, is_running):
    """SIGTERM is a request, SIGKILL is not."""
    child = python(STUBBORN)
    records.write(folder.records, "pod-x", child.pid, ["python"])
    sweep(folder)
    assert not is_running(child.pid)


def test_descendants_end_with_the_recorded_process(folder, python, is_running):
    """A pod may have started processes of its own; none is left."""
    child = python(PARENT)
    grandchild = int(child.stdout.readline())
    records.write(folder.records, "pod-x", child.pid, ["python"])
    sweep(folder)
    assert not is_running(child.pid)
    assert not is_running(grandchild)


def test_a_process_id_that_was_given_to_somebody_else_is_never_touched(folder, python, is_running):
    """A stale record whose id now belongs to another process (another creation time) ends nothing."""
    stranger = python(SLEEP)
    stale = {
        "name": "api",
        "pid": stranger.pid,
        "create_time": psutil.Process(stranger.pid).create_time() - 60,
        "argv": [],
    }
    (folder.records / "api.json").write_text(json.dumps(stale))
    sweep(folder)
    assert is_running(stranger.pid)
    assert records.read_all(folder.records) == []


def test_torn_records_are_passed_over(folder, python, is_running):
    """Whoever wrote half a record died in the act; the other records still count."""
    child = python(SLEEP)
    records.write(folder.records, "sink", child.pid, ["python"])
    (folder.records / "api.json").write_text('{"name": "api", "pid": ')
    (folder.records / "agent.json").write_text("[]")
    sweep(folder)
    assert not is_running(child.pid)


def test_a_sweep_spares_its_own_process(folder):
    """The daemon sweeps its folder while it is itself on record there, and stays on record until it is gone."""
    records.write(folder.records, "daemon", os.getpid(), ["python"])
    sweep(folder)
    assert [record.name for record in records.read_all(folder.records)] == ["daemon"]


def test_a_sweep_leaves_logs_and_removes_sockets_and_endpoints(folder):
    """After a lab has ended its logs can be read, and nothing claims that it still runs."""
    import socket

    folder.log("api").write_text("why\n")
    folder.endpoints.write_text("{}")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder.control_socket))
    sweep(folder)
    assert folder.log("api").read_text() == "why\n"
    assert not folder.endpoints.exists()
    assert not folder.control_socket.exists()
