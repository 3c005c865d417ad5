"""A lab comes up whole, tells the truth about itself, and goes down without a trace, whatever happens on the way."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from lab import daemon
from lab.errors import LabError

pytestmark = pytest.mark.lab

COMPONENTS = {"api", "controllers", "agent", "haproxy", "prometheus", "alertmanager", "sink", "responder"}
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


def states(state):
    return {component.name: component.state for component in daemon.status(state).components}


@pytest.fixture
def state(lab):
    return Path(lab["state"])


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


def test_everything_runs(lab, state):
    """Every component, every pod, and the addresses that the plan foretold."""
    now = daemon.status(state)
    assert now.healthy
    assert {component.name for component in now.components} == COMPONENTS
    assert sorted(pod.ready for pod in now.pods) == ["1/1"] * PODS
    assert now.endpoints == lab == json.loads((state / "plan.json").read_text())


def test_stock_kubectl_sees_the_pods(lab):
    """The kubeconfig that ``muster lab kubeconfig`` prints works with a client that is not ours."""
    argv = ["kubectl", "--kubeconfig", lab["kubeconfig"], "get", "pods", "-A", "--no-headers"]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    assert len(shown) == PODS
    assert all(" Running " in line and " 1/1 " in line for line in shown)


def test_users_are_served_and_every_replica_is_scraped(lab):
    """The way in leads to a pod, and Prometheus has its own word for each of the three, and for the canary."""
    assert httpx.get(f"{lab['ingress']}/health", timeout=5).status_code == 200
    query = {"query": 'up{namespace="x0tta6bl4-staging"}'}
    series = httpx.get(f"{lab['prometheus']}/api/v1/query", params=query, timeout=5).json()["data"]["result"]
    assert [each["value"][1] for each in series] == ["1"] * 4
    apps = [each["metric"]["app"] for each in series]
    assert sorted(apps) == ["x0tta6bl4-staging"] * 3 + ["x0tta6bl4-staging-canary"]
    assert {"namespace", "pod", "app", "pod_template_hash", "job", "instance"} <= series[0]["metric"].keys()


def test_the_canary_gets_nobody_until_its_weight_is_raised(lab):
    """At weight 0 no user meets it, at 100 every one does, and back."""
    name = "x0tta6bl4-staging-canary"

    def met():
        answers = [httpx.get(f"{lab['ingress']}/api/v1/ping", timeout=5).json() for _ in range(20)]
        return sum(answer["replica"].startswith(name) for answer in answers)

    def weigh(weight):
        mark = f"nginx.ingress.kubernetes.io/canary-weight={weight}"
        argv = ["kubectl", "--kubeconfig", lab["kubeconfig"], "-n", "x0tta6bl4-staging", "annotate", "--overwrite"]
        subprocess.run([*argv, "ingress", name, mark], capture_output=True, check=True, timeout=30)

    assert met() == 0
    try:
        weigh(100)
        wait_until(lambda: met() == 20, 5)
    finally:
        weigh(0)
    wait_until(lambda: met() == 0, 5)


def test_up_is_idempotent(lab, state):
    """A second up finds the lab running and changes nothing."""
    before = [component.pid for component in daemon.status(state).components]
    assert daemon.plan(state) == lab
    assert daemon.up(state, None) == lab
    assert [component.pid for component in daemon.status(state).components] == before


def test_a_stopped_component_is_shown_and_can_be_started_again(lab, state):
    """Sabotage is visible: nobody answers, status says stopped, start brings it back."""
    daemon.stop(state, "sink")
    try:
        assert states(state)["sink"] == "stopped"
        assert not daemon.status(state).healthy
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{lab['sink']}/healthz", timeout=5)
    finally:
        daemon.start(state, "sink")
    assert httpx.get(f"{lab['sink']}/healthz", timeout=5).status_code == 200


def test_a_crash_is_shown_with_its_signal_and_not_hidden(lab, state):
    """Nobody restarts what died; up brings back what is missing."""
    pid = next(component.pid for component in daemon.status(state).components if component.name == "sink")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: states(state)["sink"] != "running", 5)
    [sink] = [component for component in daemon.status(state).components if component.name == "sink"]
    assert (sink.state, sink.pid) == ("failed", None)
    assert sink.message.startswith("sink was ended by signal 9")
    assert daemon.up(state, None) == lab
    assert daemon.status(state).healthy


def test_without_its_api_the_pods_are_unknown_not_gone(lab, state):
    """No answer is not an empty list; when the API is back its pods are the same ones."""
    before = {pod.name for pod in daemon.status(state).pods}
    daemon.stop(state, "api")
    try:
        assert daemon.status(state).pods is None
        assert httpx.get(f"{lab['ingress']}/health", timeout=5).status_code == 200  # pods do not need it
    finally:
        daemon.start(state, "api")
    assert {pod.name for pod in daemon.status(state).pods} == before


def test_a_running_lab_is_used_as_it_is_and_left_running(lab, state):
    """running() neither repairs nor ends what somebody else started."""
    daemon.stop(state, "sink")
    try:
        with daemon.running(state, lambda: pytest.fail("a lab was running")) as endpoints:
            assert endpoints == lab
            assert states(state)["sink"] == "stopped"
        assert daemon.is_up(state)
    finally:
        daemon.start(state, "sink")


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
    wait_until(lambda: not daemon.is_up(state), 5)


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
    assert len(daemon.status(own_state).pods) == PODS
    kill_daemon(own_state)
    daemon.down(own_state)
    assert_nothing_left(own_state)
    assert (own_state / "logs" / "prometheus.log").is_file()


@pytest.mark.parametrize("content", ["{", "{}"])
def test_damaged_endpoints_are_put_right_by_up(own_state, content):
    """A lab that does not say where it is begins anew, and ends what ran before."""
    planned = daemon.plan(own_state)
    daemon.up(own_state, None)
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
        wait_until(lambda: moment in starter.stderr.readline(), 30)
        starter.send_signal(number)
        _, rest = starter.communicate(timeout=10)
    assert "Traceback" not in rest
    assert starter.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    wait_until(lambda: processes_of(own_state) == [], 5)
    assert_nothing_left(own_state)


def test_down_ends_a_lab_that_is_just_coming_up(muster_lab, own_state):
    """Whoever was starting it is told so in one sentence."""
    with muster_lab("up") as starter:
        wait_until(lambda: "haproxy runs" in starter.stderr.readline(), 30)
        daemon.down(own_state)
        _, rest = starter.communicate(timeout=10)
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
