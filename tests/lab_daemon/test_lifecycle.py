"""A lab comes up whole and goes down without a trace, whatever happens on the way."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from lab import daemon
from lab.errors import LabError

pytestmark = pytest.mark.lab

PODS = 5  # three replicas, a canary, the visitors


def processes_of(state):
    """Every living process that was told of this state folder, on its command line or in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(state) in word for word in told) and process.status() != "zombie":
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until(over, timeout_s):
    deadline = time.monotonic() + timeout_s
    while not over():
        assert time.monotonic() < deadline, f"not over after {timeout_s} s"
        time.sleep(0.02)


def assert_nothing_left(state):
    assert processes_of(state) == []
    assert [path for path in state.rglob("*") if path.is_socket()] == []
    assert not (state / "endpoints.json").exists()


@pytest.fixture
def own_state(tmp_path):
    """A state folder whose lab, if any, is taken down afterwards."""
    yield tmp_path / "own"
    daemon.down(tmp_path / "own")


@pytest.fixture
def muster_lab(own_state):
    """Start ``muster lab ARGUMENTS`` on the own state folder."""

    def start(*arguments, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "muster", "lab", *arguments, "--state", str(own_state)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    return start


def test_a_lab_that_was_brought_up_for_a_while_is_taken_down(own_state):
    """running() ends what it began, also when its body fails."""
    begun, ended = {"api": "https://127.0.0.1:1"}, []

    def use_it():
        with daemon.running(own_state, lambda: begun, lambda: ended.append(True)) as endpoints:
            assert endpoints == begun
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use_it()
    assert ended == [True]


def kill_daemon(state):
    os.kill(json.loads((state / "records" / "daemon.json").read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: not daemon.is_up(state), 30)


def test_what_a_killed_daemon_leaves_is_found_by_up_and_by_down(own_state):
    """Records alone are enough: up ends the orphans and starts clean, down ends everything. Logs stay."""
    daemon.plan(own_state)
    daemon.up(own_state, None)
    orphans = processes_of(own_state)
    kill_daemon(own_state)
    daemon.plan(own_state)
    daemon.up(own_state, None)
    assert not [process for process in orphans if process.is_running() and process.status() != "zombie"]
    assert daemon.status(own_state).healthy
    wait_until(lambda: len(daemon.status(own_state).pods or ()) == PODS, 30)
    kill_daemon(own_state)
    daemon.down(own_state)
    assert_nothing_left(own_state)
    assert (own_state / "logs" / "prometheus.log").is_file()


def test_damaged_endpoints_are_put_right_by_up(own_state):
    """A lab that does not say where it is begins anew, and ends what ran before: no JSON, or JSON without addresses."""
    planned = daemon.plan(own_state)
    daemon.up(own_state, None)
    for content in ("{", "{}"):
        before = processes_of(own_state)
        (own_state / "endpoints.json").write_text(content)
        assert daemon.up(own_state, None) == planned == json.loads((own_state / "endpoints.json").read_text())
        assert daemon.status(own_state).healthy
        assert not [process for process in before if process.is_running() and process.status() != "zombie"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("moment", ["haproxy runs", "agent runs"])
def test_an_interrupted_up_leaves_nothing(muster_lab, own_state, number, moment):
    """Ctrl-C, SIGTERM and even SIGKILL of whoever starts the lab end all that was started so far."""
    with muster_lab("up") as starter:
        wait_until(lambda: moment in starter.stderr.readline(), 60)
        starter.send_signal(number)
        _, rest = starter.communicate(timeout=60)
    assert "Traceback" not in rest
    assert starter.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    wait_until(lambda: processes_of(own_state) == [], 30)
    assert_nothing_left(own_state)


def test_down_ends_a_lab_that_is_just_coming_up(muster_lab, own_state):
    """Whoever was starting it is told so in one sentence."""
    with muster_lab("up") as starter:
        wait_until(lambda: "haproxy runs" in starter.stderr.readline(), 60)
        daemon.down(own_state)
        _, rest = starter.communicate(timeout=60)
    assert rest.splitlines()[-1] == "muster: the lab was taken down while it was starting"
    assert starter.returncode == 1
    assert_nothing_left(own_state)


def test_a_port_in_use_is_one_sentence(own_state):
    """Somebody took a planned port: it is named, and nothing is started."""
    port = int(daemon.plan(own_state)["prometheus"].rpartition(":")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        with pytest.raises(LabError, match=f"^port {port}, planned for prometheus, is in use"):
            daemon.up(own_state, None)
    assert_nothing_left(own_state)


def test_a_missing_program_is_one_sentence_that_says_how_to_get_it(muster_lab, own_state, tmp_path):
    """Exit code 1, the program's name, and where it comes from."""
    with muster_lab("up", PATH=str(tmp_path)) as starter:
        _, said = starter.communicate(timeout=30)
    assert starter.returncode == 1
    assert said == "muster: prometheus is not on PATH; `make setup` installs it (lab/setup.sh says what is needed)\n"
    assert_nothing_left(own_state)


def test_a_component_that_fails_takes_the_boot_down_with_its_own_words(own_state):
    """One sentence with the component and the last line of its log; nothing is left running."""
    daemon.plan(own_state)
    broken = [sys.executable, "-c", "raise SystemExit('no such system')"]
    with pytest.raises(LabError, match=r"^responder ended with exit code 1: no such system$"):
        daemon.up(own_state, broken)
    assert_nothing_left(own_state)


def test_commands_on_a_lab_that_does_not_run_are_refused(muster_lab):
    """One sentence each; nothing is booted by accident."""
    for words in (("stop", "sink"), ("start", "sink"), ("kubeconfig",), ("inbox",)):
        with muster_lab(*words) as command:
            _, said = command.communicate(timeout=30)
        assert command.returncode in (1, 4)
        assert "no lab runs in" in said
        assert "muster lab up" in said


def test_down_without_a_lab_is_no_mistake(muster_lab):
    """Nothing to do is done."""
    with muster_lab("down") as command:
        assert command.communicate(timeout=30) == ("", "")
    assert command.returncode == 0
