"""A pod's life: start, environment, probes, restarts, end."""

import json
import os
import time

import psutil
import pytest

from muster.kube import KubeError

PATIENT = {"terminationGracePeriodSeconds": 30}  # or a program that stands still for a second is killed


def state_of(world, namespace, name):
    statuses = world.get(namespace, "pods", name).get("status", {}).get("containerStatuses")
    return statuses[0] if statuses else {"state": {}, "lastState": {}, "restartCount": 0}


def waiting(world, namespace, name):
    return state_of(world, namespace, name)["state"].get("waiting", {}).get("reason")


def is_gone(world, namespace, name):
    try:
        world.get(namespace, "pods", name)
    except KubeError as error:
        return error.status == 404
    return False


def test_a_program_is_told_where_it_is_and_what_it_was_given(world, namespace, serving):
    """Literals, configmaps, the downward API, the image's env and the lab's own all reach the process."""
    meta = {"name": "settings", "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"colour": "red"}}
    world.kube.post(f"/api/v1/namespaces/{namespace}/configmaps", body)
    env = [
        {"name": "PLAIN", "value": "x"},
        {"name": "BUILT", "value": "$(PLAIN)-$(POD_NAME)"},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "ASKED", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}},
        {"name": "LATER", "value": "$(POD_NAME)/$(NOSUCH)"},
    ]
    more = {"env": env, "args": ["--name", "$(POD_NAME)"], "resources": {"limits": {"memory": "200Mi"}}}
    world.pod(namespace, "one", **serving, **more)
    pod = world.wait_ready(namespace, "one")
    told = json.loads(world.asks(pod, "/env"))
    expected = {
        "PLAIN": "x",
        "POD_NAME": "one",
        "APP": "one",
        "COLOUR": "red",
        "MEMORY": "200",
        "CORES": str(os.cpu_count()),
        "ASKED": "0",
        "LATER": "one/$(NOSUCH)",
        "VERSION": "1",
        "POD_IP": pod["status"]["podIP"],
        "HOSTNAME": "one",
        "PORT": "8080",
    }
    assert {key: told.get(key) for key in expected} == expected
    assert told["argv"] == ["--name", "one"]
    assert told["KUBERNETES_SERVICE_PORT"] == str(world.port)
    account = {path.name for path in __import__("pathlib").Path(told["SERVICEACCOUNT_ROOT"]).iterdir()}
    assert account == {"token", "ca.crt", "namespace"}


def test_each_pod_has_its_own_loopback_address(world, namespace, serving):
    """Two pods listen on the same port, on different addresses outside 127.0.0.0/16."""
    for name in ("one", "two"):
        world.pod(namespace, name, **serving)
    first, second = (world.wait_ready(namespace, name)["status"]["podIP"] for name in ("one", "two"))
    assert first != second
    assert first.startswith("127.")
    assert not first.startswith("127.0.")


def test_the_status_is_a_kubelets(world, namespace, serving, condition):
    """Phase, conditions, addresses, container state, image id and QoS class are all there."""
    world.pod(namespace, "one", **serving, resources={"requests": {"cpu": "10m"}})
    status = world.wait_ready(namespace, "one")["status"]
    assert status["phase"] == "Running"
    assert {c["type"] for c in status["conditions"]} == {
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    }
    assert (status["qosClass"], status["hostIP"]) == ("Burstable", "127.0.0.1")
    (container,) = status["containerStatuses"]
    assert container["imageID"].startswith("lab.test/web@sha256:")
    assert container["containerID"].startswith("containerd://")
    assert (container["restartCount"], container["ready"], container["started"]) == (0, True, True)
    assert "startedAt" in container["state"]["running"]


def test_another_environment_is_another_build(world, namespace, serving):
    """Digests differ by the container's own env and by tag, and are equal for equal builds."""
    for name, tag, value in (("a", "1", "x"), ("b", "1", "x"), ("c", "1", "y"), ("d", "2", "x")):
        fields = serving | {"image": f"lab.test/web:{tag}", "env": [{"name": "MODE", "value": value}]}
        world.pod(namespace, name, **fields)
    ids = {}
    for name in "abcd":
        ids[name] = world.wait_ready(namespace, name)["status"]["containerStatuses"][0]["imageID"]
    assert ids["a"] == ids["b"]
    assert len(set(ids.values())) == 3


def test_readiness_opens_and_closes_with_the_probe(world, namespace, serving, wait_until, condition):
    """Not ready before the probe succeeds, ready then, unready when it fails again, with an Unhealthy event."""
    world.pod(namespace, "late", **serving, env=[{"name": "READY", "value": "no"}])
    failed = ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    wait_until(lambda: failed in world.events(namespace, "late"), "the probe to fail")
    pod = world.get(namespace, "pods", "late")
    assert "running" in state_of(world, namespace, "late")["state"]
    assert condition(pod, "Ready") == "False"
    world.asks(pod, "/set/ready=yes")
    pod = world.wait_ready(namespace, "late")
    world.asks(pod, "/set/ready=no")
    wait_until(lambda: condition(world.get(namespace, "pods", "late"), "Ready") == "False", "it to turn unready")
    assert state_of(world, namespace, "late")["restartCount"] == 0


def test_a_readiness_gate_of_somebody_else_is_waited_for(world, namespace, serving, wait_until, condition):
    """ContainersReady is not Ready while a gate's condition is missing; it is once the condition is True."""
    world.pod(namespace, "gated", pod={"readinessGates": [{"conditionType": "lab.test/open"}]}, **serving)
    wait_until(lambda: condition(world.get(namespace, "pods", "gated"), "ContainersReady") == "True", "containers")
    assert condition(world.get(namespace, "pods", "gated"), "Ready") == "False"
    known = world.get(namespace, "pods", "gated")["status"]["conditions"]
    body = {"status": {"conditions": [*known, {"type": "lab.test/open", "status": "True"}]}}
    world.kube.patch(f"/api/v1/namespaces/{namespace}/pods/gated/status", body, kind="application/merge-patch+json")
    world.wait_ready(namespace, "gated")


def test_a_failing_liveness_probe_restarts_the_container(world, namespace, serving, wait_until):
    """After failureThreshold failures it is killed, with the kubelet's events, and started again."""
    probe = {"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    probe |= {"timeoutSeconds": 5}
    world.pod(namespace, "sick", **serving, livenessProbe=probe)
    pod = world.wait_ready(namespace, "sick")
    world.asks(pod, "/set/live=no")
    wait_until(lambda: state_of(world, namespace, "sick")["restartCount"] >= 1, "a restart")
    world.wait_ready(namespace, "sick")
    events = wait_until(lambda: world.events(namespace, "sick"), "events")
    assert ("Killing", "Container main failed liveness probe, will be restarted") in events


@pytest.mark.parametrize(
    "handler", [{"tcpSocket": {"port": 8080}}, {"exec": {"command": ["sh", "-c", 'test "$VERSION" = 1']}}]
)
def test_tcp_and_exec_probes_and_a_startup_probe_before_them(world, namespace, serving, handler):
    """A container is started by its startup probe, then ready by its readiness probe, of any kind."""
    world.pod(namespace, "probed", **(serving | {"startupProbe": handler, "readinessProbe": handler}))
    world.wait_ready(namespace, "probed")


def test_a_crash_loop_backs_off(world, namespace, wait_until):
    """The first restart is at once, later ones wait longer and longer, and the status says so."""
    world.pod(namespace, "crash", image="lab.test/sh:1", args=["echo broken; exit 3"])
    wait_until(lambda: state_of(world, namespace, "crash")["restartCount"] >= 3, "three restarts")

    def backing_off():  # seen at once with all that is said of it: the next start is never far
        seen = state_of(world, namespace, "crash")
        return seen if seen["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" else None

    container = wait_until(backing_off, "the back-off")
    assert container["lastState"]["terminated"]["exitCode"] == 3
    assert container["lastState"]["terminated"]["reason"] == "Error"
    assert container["state"]["waiting"]["message"].startswith("back-off ")
    events = dict(world.events(namespace, "crash"))
    uid = world.get(namespace, "pods", "crash")["metadata"]["uid"]
    expected = f"Back-off restarting failed container main in pod crash_{namespace}({uid})"
    wait_until(lambda: dict(world.events(namespace, "crash")).get("BackOff") == expected, f"{expected} in {events}")
    repeats = [e["count"] for e in world.items(namespace, "events") if e["reason"] == "BackOff"]
    assert repeats
    assert len(repeats) == 1


def test_a_finished_program_is_restarted_only_if_the_policy_says_so(world, namespace, wait_until):
    """Never: Succeeded after 0 and Failed after 1; OnFailure restarts until 0."""
    once = {"restartPolicy": "Never"}
    world.pod(namespace, "good", pod=once, image="lab.test/sh:1", args=["exit 0"])
    world.pod(namespace, "bad", pod=once, image="lab.test/sh:1", args=["exit 1"])
    again = ["test -e seen && exit 0; touch seen; exit 1"]
    world.pod(namespace, "second", pod={"restartPolicy": "OnFailure"}, image="lab.test/sh:1", args=again)
    for name, phase in (("good", "Succeeded"), ("bad", "Failed"), ("second", "Succeeded")):
        wait_until(lambda n=name, p=phase: world.get(namespace, "pods", n)["status"].get("phase") == p, f"{name}")
    assert state_of(world, namespace, "second")["restartCount"] == 1


def test_init_containers_run_first_and_one_after_the_other(world, namespace, serving):
    """The program starts after both, in order."""
    note = {"name": "first", "image": "lab.test/sh:1", "args": ["sleep 0.2; date +%s%N > ../../first.done"]}
    then = {"name": "then", "image": "lab.test/sh:1", "args": ["date +%s%N > ../../then.done"]}
    world.pod(namespace, "prepared", pod={"initContainers": [note, then]}, **serving)
    pod = world.wait_ready(namespace, "prepared")
    folder = next((world.state / "pods").glob(f"{namespace}_prepared_*"))
    assert int((folder / "first.done").read_text()) < int((folder / "then.done").read_text())
    assert [c["state"]["terminated"]["exitCode"] for c in pod["status"]["initContainerStatuses"]] == [0, 0]


def test_a_program_that_ignores_sigterm_dies_after_its_grace_period(world, namespace, serving, wait_until):
    """SIGTERM, the grace period, SIGKILL: exit code 137, and not before the period has passed."""
    env = [{"name": "IGNORE_TERM", "value": "1"}]
    world.pod(namespace, "deaf", pod={"terminationGracePeriodSeconds": 2}, **serving, env=env)
    pod = world.wait_ready(namespace, "deaf")
    pid = json.loads(world.asks(pod, "/env"))["pid"]
    began = time.monotonic()
    world.delete(namespace, "pods", "deaf")
    wait_until(lambda: is_gone(world, namespace, "deaf"), "the pod to go")
    assert 1.8 <= time.monotonic() - began < 20  # 30 s would be Kubernetes' own
    assert not psutil.pid_exists(pid)


def test_the_whole_process_group_goes_with_its_container(world, namespace, serving, wait_until):
    """A child that the program started is gone with it, and no zombie of either stays."""
    world.pod(namespace, "parent", **serving, env=[{"name": "CHILD", "value": "1"}])
    pod = world.wait_ready(namespace, "parent")
    process = psutil.Process(json.loads(world.asks(pod, "/env"))["pid"])
    (child,) = process.children()
    world.delete(namespace, "pods", "parent")
    wait_until(lambda: is_gone(world, namespace, "parent"), "the pod to go")
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child to end")
    assert not process.is_running()


def test_deletion_shows_the_end_before_the_object_goes(world, namespace, serving, wait_until):
    """A gentle end is phase Succeeded, exit code 0, and a Killing event."""
    world.pod(namespace, "brief", pod=PATIENT, **serving)
    world.wait_ready(namespace, "brief")
    version = world.get(namespace, "pods", "brief")["metadata"]["resourceVersion"]
    world.delete(namespace, "pods", "brief")
    wait_until(lambda: is_gone(world, namespace, "brief"), "the pod to go")
    url = f"{world.kube.server}/api/v1/namespaces/{namespace}/pods"
    query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "1"}
    phases = []
    with world.kube._http.stream("GET", url, params=query) as answer:
        for line in answer.iter_lines():
            event = json.loads(line)
            if event["type"] in ("MODIFIED", "DELETED"):
                phases.append(event["object"]["status"]["phase"])
    assert phases[-1] == "Succeeded"
    wait_until(lambda: ("Killing", "Stopping container main") in world.events(namespace, "brief"), "the event")


def test_a_pod_deleted_by_force_leaves_no_process(world, namespace, serving, wait_until):
    """Grace 0 removes the object at once; the program follows within two seconds."""
    env = [{"name": "IGNORE_TERM", "value": "1"}]
    world.pod(namespace, "forced", **serving, env=env)
    pid = json.loads(world.asks(world.wait_ready(namespace, "forced"), "/env"))["pid"]
    world.delete(namespace, "pods", "forced", gracePeriodSeconds=0)
    assert is_gone(world, namespace, "forced")
    wait_until(lambda: not psutil.pid_exists(pid), "the process to end", 20)


def test_a_prestop_hook_runs_before_the_signal(world, namespace, serving, wait_until):
    """The hook's command has run when the pod is gone."""
    hook = {"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo bye > ../../hook"]}}}}
    world.pod(namespace, "polite", pod=PATIENT, **serving, **hook)
    world.wait_ready(namespace, "polite")
    folder = next((world.state / "pods").glob(f"{namespace}_polite_*"))
    world.delete(namespace, "pods", "polite")
    wait_until(lambda: is_gone(world, namespace, "polite"), "the pod to go")
    assert (folder / "hook").read_text() == "bye\n"


def test_a_program_over_its_memory_limit_is_killed(world, namespace, serving, wait_until):
    """OOMKilled with 137, and restarted."""
    hog = serving | {"env": [{"name": "HOG_BYTES", "value": str(120 * 2**20)}]}
    world.pod(namespace, "hog", **hog, resources={"limits": {"memory": "64Mi"}})
    wait_until(lambda: state_of(world, namespace, "hog")["restartCount"] >= 1, "a restart")
    wait_until(lambda: state_of(world, namespace, "hog")["lastState"].get("terminated"), "the end to be seen")
    ended = state_of(world, namespace, "hog")["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_pause_pods_are_ready_and_start_no_process(world, namespace, wait_until):
    """A hundred of them cost no process at all."""
    before = len(psutil.Process().children(recursive=True))
    world.deployment(namespace, replicas=100)
    world.wait_rolled_out(namespace, timeout_s=30)
    assert len(psutil.Process().children(recursive=True)) <= before
