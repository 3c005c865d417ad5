"""Any program can be a pod: Debian's redis, as its package installs it."""

import os
import shutil
import signal
import socket

import pytest

LIMIT_BYTES = 48 * 2**20
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


@pytest.fixture
def redis(world, namespace):
    """Container fields of a redis with a probe that knows nothing of it but its port."""
    program = shutil.which("redis-server", path=PATH)
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    command = [program, "--bind", "$(POD_IP)", "--port", "$(PORT)", "--save", "", "--loglevel", "notice"]
    world.write_images(**{"lab.test/redis": {"tags": ["7"], "command": command}})
    return {
        "image": "lab.test/redis:7",
        "ports": [{"name": "redis", "containerPort": 6379}],
        "readinessProbe": {"tcpSocket": {"port": "redis"}, "periodSeconds": 1},
        "resources": {"limits": {"memory": str(LIMIT_BYTES)}},
    }


def asks(pod, *words):
    """The first bytes of redis' answer to a command."""
    command = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    with socket.create_connection((pod["status"]["podIP"], 6379), timeout=5) as peer:
        peer.sendall(b"*%d\r\n%s" % (len(words), command))
        return peer.recv(64)


def state_of(world, namespace):
    return world.get(namespace, "pods", "redis")["status"]["containerStatuses"][0]


def test_redis_serves_logs_is_killed_and_comes_back(world, namespace, redis, wait_until):
    """Ready by its port alone, its log is its own, it ends by a signal and is restarted."""
    world.pod(namespace, "redis", **redis)
    pod = world.wait_ready(namespace, "redis")
    assert asks(pod, b"PING") == b"+PONG\r\n"
    log = world.kube._http.get(f"{world.kube.server}/api/v1/namespaces/{namespace}/pods/redis/log").text
    assert "Ready to accept connections" in log
    record = next((world.state / "records").glob(f"pod-{namespace}_redis_*"))
    os.kill(int(record.read_text().partition('"pid": ')[2].split(",")[0]), signal.SIGKILL)
    wait_until(lambda: state_of(world, namespace)["restartCount"] == 1, "the restart")
    assert state_of(world, namespace)["lastState"]["terminated"]["exitCode"] == 137
    wait_until(lambda: state_of(world, namespace)["ready"], "redis to be ready again")
    assert asks(pod, b"PING") == b"+PONG\r\n"


def test_redis_that_is_given_too_much_is_killed_for_its_memory(world, namespace, redis, wait_until):
    """Real memory of a real program over its limit: OOMKilled, and what it held is gone."""
    world.pod(namespace, "redis", **redis)
    pod = world.wait_ready(namespace, "redis")
    piece = b"x" * (8 * 2**20)
    for number in range(12):
        try:
            if asks(pod, b"SET", b"key%d" % number, piece) != b"+OK\r\n":
                break  # killed before it answered
        except OSError:  # or in the middle of it
            break
    wait_until(lambda: state_of(world, namespace)["restartCount"] >= 1, "the restart")
    ended = state_of(world, namespace)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    wait_until(lambda: state_of(world, namespace)["ready"], "redis to be ready again")
    assert asks(pod, b"DBSIZE") == b":0\r\n"
