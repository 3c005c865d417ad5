"""A lab that runs tells the truth about itself, and its components are stopped and started one by one."""

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from lab import daemon
from muster.wait import wait_until

pytestmark = pytest.mark.lab

COMPONENTS = {"api", "controllers", "agent", "haproxy", "prometheus", "alertmanager", "sink", "responder"}
PODS = 5  # three replicas, a canary, the visitors


def states(state):
    return {component.name: component.state for component in daemon.status(state).components}


def all_ready(now):
    return now.pods is not None and [pod.ready for pod in now.pods] == ["1/1"] * PODS


def pods_of(state):
    """The names of the pods, once the API says them."""
    now = wait_until(lambda: daemon.status(state), lambda now: now.pods is not None, what="the pods", timeout_s=30)
    return {pod.name for pod in now.pods}


@pytest.fixture
def state(lab):
    return Path(lab["state"])


def test_everything_runs(lab, state):
    """Every component, every pod, and the addresses that the plan foretold."""
    now = wait_until(lambda: daemon.status(state), all_ready, what="every pod ready", timeout_s=30)
    assert now.healthy
    assert {component.name for component in now.components} == COMPONENTS
    assert now.endpoints == lab == json.loads((state / "plan.json").read_text())


def test_stock_kubectl_sees_the_pods(lab):
    """The kubeconfig that ``muster lab kubeconfig`` prints works with a client that is not ours."""
    argv = ["kubectl", "--kubeconfig", lab["kubeconfig"], "get", "pods", "-A", "--no-headers"]

    def shown():
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()

    def all_run(lines):
        return len(lines) == PODS and all(" Running " in line and " 1/1 " in line for line in lines)

    wait_until(shown, all_run, what="a line for each pod that runs", timeout_s=30)


def test_users_are_served_and_every_replica_is_scraped(lab, wait_until):
    """The way in leads to a pod, and Prometheus has its own word for each of the three, and for the canary."""
    assert httpx.get(f"{lab['ingress']}/health", timeout=30).status_code == 200
    query = {"query": 'up{namespace="x0tta6bl4-staging"}'}

    def scraped():
        return httpx.get(f"{lab['prometheus']}/api/v1/query", params=query, timeout=30).json()["data"]["result"]

    # pods that the test before has ended stay targets until Prometheus' next look at discovery
    wait_until(lambda: [each["value"][1] for each in scraped()] == ["1"] * 4, "four targets that are up", 20)
    series = scraped()
    apps = [each["metric"]["app"] for each in series]
    assert sorted(apps) == ["x0tta6bl4-staging"] * 3 + ["x0tta6bl4-staging-canary"]
    assert {"namespace", "pod", "app", "pod_template_hash", "job", "instance"} <= series[0]["metric"].keys()


def test_the_canary_gets_nobody_until_its_weight_is_raised(lab):
    """At weight 0 no user meets it, at 100 every one does, and back."""
    name = "x0tta6bl4-staging-canary"

    def met():
        answers = [httpx.get(f"{lab['ingress']}/api/v1/ping", timeout=30).json() for _ in range(20)]
        return sum(answer["replica"].startswith(name) for answer in answers)

    def weigh(weight):
        mark = f"nginx.ingress.kubernetes.io/canary-weight={weight}"
        argv = ["kubectl", "--kubeconfig", lab["kubeconfig"], "-n", "x0tta6bl4-staging", "annotate", "--overwrite"]
        subprocess.run([*argv, "ingress", name, mark], capture_output=True, check=True, timeout=30)

    assert met() == 0
    try:
        weigh(100)
        wait_until(met, lambda count: count == 20, what="everyone meets it", timeout_s=30)
    finally:
        weigh(0)
    wait_until(met, lambda count: count == 0, what="nobody meets it", timeout_s=30)


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
    wait_until(lambda: states(state)["sink"], lambda now: now != "running", what="the sink's end", timeout_s=30)
    [sink] = [component for component in daemon.status(state).components if component.name == "sink"]
    assert (sink.state, sink.pid) == ("failed", None)
    assert sink.message.startswith("sink was ended by signal 9")
    assert daemon.up(state, None) == lab
    assert daemon.status(state).healthy


def test_without_its_api_the_pods_are_unknown_not_gone(lab, state):
    """No answer is not an empty list; when the API is back its pods are the same ones."""
    before = pods_of(state)
    daemon.stop(state, "api")
    try:
        assert daemon.status(state).pods is None
        assert httpx.get(f"{lab['ingress']}/health", timeout=5).status_code == 200  # pods do not need it
    finally:
        daemon.start(state, "api")
    assert pods_of(state) == before


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
