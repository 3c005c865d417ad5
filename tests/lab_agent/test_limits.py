"""Limits that the kernel holds, who belongs to a container, and what is told of its use."""

import json
import os
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from lab import cgroups

STRAY = "import os,time; os.setsid(); open('stray','w').write(str(os.getpid())); time.sleep(600)"
SPIN = "import time\nwhile time.process_time() < 60: pass"


def state_of(world, namespace, name):
    statuses = world.get(namespace, "pods", name).get("status", {}).get("containerStatuses")
    return statuses[0] if statuses else {"state": {}, "lastState": {}, "restartCount": 0}


@pytest.fixture
def annotations(world):
    return world.kube.get("/api/v1/nodes/lab-node")["metadata"]["annotations"]


@pytest.fixture
def in_groups(annotations):
    """Skips where the kernel does not let us have control groups; the agent's own watch has tests of its own."""
    if not annotations["lab/memory-limits"].startswith("cgroup"):
        pytest.skip("needs control groups that can be written: run as root, or with a delegated cgroup v2")


@pytest.fixture
def ask(world):
    """Asks the agent as Prometheus and the API server do."""
    return lambda path="/metrics/cadvisor": answer_of(world, path)


def answer_of(world, path):
    port = world.kube.get("/api/v1/nodes/lab-node")["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    headers = {"Authorization": f"Bearer {(world.state / 'token').read_text()}"}
    return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, trust_env=False)


def series(page, name, namespace):
    """The value of the one series of a namespace with one container, None without one."""
    lines = [line for line in page.splitlines() if line.startswith(f"{name}{{") and f'namespace="{namespace}"' in line]
    return float(lines[0].rpartition(" ")[2]) if lines else None


def test_a_program_that_leaves_its_session_ends_with_its_container(world, namespace, in_groups, wait_until):
    """Membership counts, not kinship: nothing of a container is left, whatever its children did."""
    python = f"{sys.executable} -S -E -c"
    world.pod(namespace, "parent", image="lab.test/sh:1", args=[f'{python} "{STRAY}" & sleep 600'])
    folder = wait_until(lambda: next((world.state / "pods").glob(f"{namespace}_parent_*"), None), "its folder")
    note = folder / "main" / "work" / "stray"
    pid = int(wait_until(lambda: note.exists() and note.read_text(), "the stray to begin"))
    world.delete(namespace, "pods", "parent")
    wait_until(lambda: not psutil.pid_exists(pid), "the stray to end")


def test_a_cpu_limit_holds(world, namespace, in_groups, ask, wait_until):
    """A program that would burn a core gets the fifth that it is limited to, and is seen to be throttled."""
    limits = {"resources": {"limits": {"cpu": "200m"}}}
    world.pod(namespace, "burner", image="lab.test/sh:1", args=[f"exec {sys.executable} -S -E -c '{SPIN}'"], **limits)
    name = "container_cpu_usage_seconds_total"
    wait_until(lambda: (series(ask().text, name, namespace) or 0) > 0.1, "it to burn")
    began = time.monotonic()  # before it is asked: what it burns meanwhile is in the time, too
    before = series(ask().text, name, namespace)
    time.sleep(1.0)  # a rate needs a time
    page, took = ask().text, time.monotonic() - began
    assert (series(page, name, namespace) - before) / took < 0.3
    assert series(page, "container_spec_cpu_quota", namespace) == 20000
    assert series(page, "container_cpu_cfs_throttled_periods_total", namespace) > 0
    pods = json.loads(ask("/stats/summary").text)["pods"]
    (burner,) = [pod for pod in pods if pod["podRef"]["name"] == "burner"]
    assert 0.05e9 < burner["containers"][0]["cpu"]["usageNanoCores"] < 0.4e9
    world.delete(namespace, "pods", "burner", gracePeriodSeconds=0)


def test_what_a_container_uses_is_told_under_cadvisors_names(world, namespace, serving, ask):
    """Memory, limit and start with the labels that a kubelet gives; a token is asked for."""
    world.pod(namespace, "one", **serving, resources={"limits": {"memory": "200Mi"}})
    pod = world.wait_ready(namespace, "one")
    page = ask().text
    labels = f'container="main",id="/kubepods/burstable/pod{pod["metadata"]["uid"]}/'
    assert labels in page
    assert series(page, "container_spec_memory_limit_bytes", namespace) == 200 * 2**20
    used = series(page, "container_memory_usage_bytes", namespace)
    assert 2**20 < series(page, "container_memory_working_set_bytes", namespace) <= used < 200 * 2**20
    assert abs(series(page, "container_start_time_seconds", namespace) - time.time()) < 60
    assert series(page, "container_cpu_cfs_throttled_periods_total", namespace) in (0, None)
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, check=False)
    assert "error" not in checked.stderr.lower()
    node = json.loads(ask("/stats/summary").text)["node"]
    assert node["memory"]["workingSetBytes"] > 2**20
    address = str(ask("/stats/summary").url)
    assert httpx.get(address, trust_env=False).status_code == 401


def test_a_kill_for_memory_is_counted(world, namespace, in_groups, ask, wait_until):
    """The kernel kills by the limit; the counter shows it after the restart."""
    python = f"{sys.executable} -S -E -c"
    small = [f'test -e seen && exec sleep 600; touch seen; exec {python} "bytes(1) * 90000000"']
    world.pod(namespace, "hog", image="lab.test/sh:1", args=small, resources={"limits": {"memory": "32Mi"}})
    wait_until(
        lambda: "running" in state_of(world, namespace, "hog")["state"] and _again(world, namespace), "a restart"
    )
    ended = state_of(world, namespace, "hog")["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert series(ask().text, "container_oom_events_total", namespace) == 1


def _again(world, namespace):
    return state_of(world, namespace, "hog")["restartCount"] == 1


def test_without_control_groups_the_agent_watches_itself(own_world, serving, wait_until):
    """The same program over the same limit ends the same way, and the node says who holds the limits."""
    own_world.stop("agent")
    own_world.start("agent", "--no-cgroups")
    namespace = own_world.namespace()
    hog = serving | {"env": [{"name": "HOG_BYTES", "value": str(120 * 2**20)}]}
    own_world.pod(namespace, "hog", **hog, resources={"limits": {"memory": "64Mi"}})
    wait_until(lambda: state_of(own_world, namespace, "hog")["restartCount"] >= 1, "a restart")
    wait_until(lambda: state_of(own_world, namespace, "hog")["lastState"].get("terminated"), "the end to be seen")
    ended = state_of(own_world, namespace, "hog")["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    own_world.pod(namespace, "small", **serving)
    own_world.wait_ready(namespace, "small")
    own_world.delete(namespace, "pods", "hog", gracePeriodSeconds=0)

    def without_hog():  # its process outlives its object for a moment
        page = answer_of(own_world, "/metrics/cadvisor").text
        return page if 'pod="small"' in page and 'pod="hog"' not in page else None

    page = wait_until(without_hog, "the hog to go")
    assert series(page, "container_memory_working_set_bytes", namespace) > 2**20
    assert series(page, "container_cpu_usage_seconds_total", namespace) >= 0
    assert series(page, "container_cpu_cfs_throttled_periods_total", namespace) is None
    told = own_world.kube.get("/api/v1/nodes/lab-node")["metadata"]["annotations"]
    assert (told["lab/memory-limits"], told["lab/cpu-limits"]) == ("watched by the agent", "not held")


def test_cpu_is_shared_by_requests_and_all_pods_weigh_as_the_node(tmp_path):
    """As the kubelet does it: else a full machine gives all pods together no more than one program beside them."""
    mine = cgroups.Cgroups.claim(tmp_path)
    group = mine.make("asks", None, None, cpu_request_cores=0.25)
    try:
        if group is None or "cpu" not in group.folders:
            pytest.skip("needs a cpu control group that can be written: run as root, or with a delegated cgroup v2")
        name, whole, quarter = {1: ("cpu.shares", 1024, 256), 2: ("cpu.weight", 100, 10)}[group.version]
        assert int((group.folders["cpu"].parent / name).read_text()) == whole * os.cpu_count()
        assert int((group.folders["cpu"] / name).read_text()) == quarter
    finally:
        cgroups.sweep(tmp_path)


def test_a_lab_that_was_killed_leaves_groups_that_are_swept_by_its_record(tmp_path):
    """Whoever is in them is ended, the folders go, and what is not the lab's own is not touched."""
    mine = cgroups.Cgroups.claim(tmp_path)
    group = mine.make("left", None, None)
    if group is None:
        pytest.skip("needs control groups that can be written: run as root, or with a delegated cgroup v2")
    with group.door() as enter:
        left = subprocess.Popen(["sleep", "600"], start_new_session=True, preexec_fn=enter)  # noqa: PLW1509
    record = tmp_path / "cgroups.json"
    record.write_text(json.dumps([*json.loads(record.read_text()), str(tmp_path / "not-ours")]))
    (tmp_path / "not-ours").mkdir()
    cgroups.sweep(tmp_path)
    assert left.wait(5) == -9
    assert not any(parent.exists() for _, parent in mine.parents)
    assert (tmp_path / "not-ours").exists()
    assert not record.exists()


def test_version_2_is_spoken_to_in_its_own_words(tmp_path):
    """Limits and counters of the one hierarchy: memory.max, no swap, the whole group at once, cpu.max, cpu.weight."""
    for name in ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.weight"):
        (tmp_path / name).touch()
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    group = cgroups.Group(2, {"memory": tmp_path, "cpu": tmp_path})
    group.limit(64 * 2**20, 0.5)
    group.weigh(0.1)
    written = {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != "memory.events"}
    assert written == {
        "memory.max": "67108864",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "cpu.max": "50000 100000",
        "cpu.weight": "4",
    }
    assert group.oom_kills() == 2
