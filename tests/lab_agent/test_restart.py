"""The agent's own end and return: pods live through it."""

import json
import signal

import psutil
import pytest

from lab.agent.addresses import Addresses
from lab.agent.backoff import Backoff, go_duration
from lab.agent.images import Catalog, split
from lab.errors import LabError


def pid_of(world, pod):
    return json.loads(world.asks(pod, "/env"))["pid"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_programs_run_on_without_their_agent_and_the_next_one_takes_them_over(own_world, serving, wait_until, number):
    """Node down: the same process serves; node back: no restart, and the pod can be deleted as ever."""
    namespace = own_world.namespace()
    own_world.pod(namespace, "one", **serving)
    pod = own_world.wait_ready(namespace, "one")
    pid = pid_of(own_world, pod)
    own_world.stop("agent", number)
    assert pid_of(own_world, pod) == pid
    own_world.start("agent")
    own_world.asks(pod, "/set/ready=no")
    wait_until(
        lambda: own_world.get(namespace, "pods", "one")["status"]["containerStatuses"][0]["ready"] is False,
        "the new agent to probe it",
    )
    assert own_world.get(namespace, "pods", "one")["status"]["containerStatuses"][0]["restartCount"] == 0
    own_world.delete(namespace, "pods", "one")
    wait_until(lambda: not own_world.items(namespace, "pods"), "the pod to go")
    wait_until(lambda: not psutil.pid_exists(pid), "the process to go")


def test_what_died_meanwhile_is_restarted_and_what_was_deleted_meanwhile_is_ended(own_world, serving, wait_until):
    """A new agent compares records, processes and the API."""
    namespace = own_world.namespace()
    pods = {}
    for name in ("dies", "deleted"):
        own_world.pod(namespace, name, **serving)
        pods[name] = own_world.wait_ready(namespace, name)
    pids = {name: pid_of(own_world, pod) for name, pod in pods.items()}
    own_world.stop("agent")
    psutil.Process(pids["dies"]).kill()
    own_world.delete(namespace, "pods", "deleted", gracePeriodSeconds=0)
    own_world.start("agent")
    wait_until(lambda: not psutil.pid_exists(pids["deleted"]), "the orphan to be ended")
    wait_until(
        lambda: own_world.get(namespace, "pods", "dies")["status"]["containerStatuses"][0]["restartCount"] == 1,
        "the restart",
    )
    own_world.wait_ready(namespace, "dies")


def test_every_program_has_a_record_while_it_runs(world, namespace, serving, wait_until):
    """The record names pid, creation time and argv, and goes with the process."""
    world.pod(namespace, "one", **serving)
    pod = world.wait_ready(namespace, "one")
    path = world.state / "records" / f"pod-{namespace}_one_main_{pod['metadata']['uid'][:8]}.json"
    record = json.loads(path.read_text())
    process = psutil.Process(pid_of(world, pod))
    assert record["pid"] == process.pid
    assert abs(record["create_time"] - process.create_time()) < 1.5
    assert record["argv"] == process.cmdline()
    world.delete(namespace, "pods", "one")
    wait_until(lambda: not path.exists(), "the record to go")


def test_two_labs_do_not_share_a_pod_network(tmp_path):
    """Each lab claims its own second octet, keeps it, and gives it back."""
    first, second = Addresses(tmp_path / "a"), Addresses(tmp_path / "b")
    try:
        one, two = first.take([8080]), second.take([8080])
        assert one.split(".")[1] != two.split(".")[1]
        assert first.take([8080]) != one
    finally:
        first.close()
        second.close()
    again = Addresses(tmp_path / "a")
    again.close()
    assert (tmp_path / "a" / "network").read_text() == one.split(".")[1]


def test_the_back_off_is_the_kubelets_divided_by_the_time_scale():
    """At once, 10 s, 20 s... at most 300 s; a run of ten minutes is forgiven."""
    backoff = Backoff(60, immediate_first=True)
    waits = [(backoff.next_s(), backoff.nominal_s)[1] for _ in range(8)]
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.next_s() == 5.0
    assert backoff.next_s(ran_s=10.1) == 0
    assert [go_duration(s) for s in (10, 80, 300)] == ["10s", "1m20s", "5m0s"]


def test_an_image_file_that_cannot_be_used_is_one_clear_sentence(tmp_path):
    """Missing, broken or without commands: LabError names the file; references split at their tag."""
    path = tmp_path / "images.yaml"
    for content in (None, "{", "images: {a: {tags: ['1']}}", "[]"):
        if content is not None:
            path.write_text(content)
        with pytest.raises(LabError, match=r"images\.yaml"):
            Catalog(path)
    assert split("registry:5000/a/b") == ("registry:5000/a/b", "latest")
    assert split("registry:5000/a/b:1") == ("registry:5000/a/b", "1")
