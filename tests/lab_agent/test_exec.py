"""Commands in running containers, as kubectl, the Python client and chaosk8s run them."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios

import psutil
import pytest
from quick import quick


@pytest.fixture
def kubectl(world, namespace):
    """Runs kubectl in the test's namespace."""

    def run(*words, **options):
        argv = ["kubectl", "--kubeconfig", str(world.state / "kubeconfig"), "-n", namespace, *words]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False, **options)

    return run


@pytest.fixture
def pod(world, namespace, serving):
    env = [{"name": "COLOUR", "value": "red"}]
    world.pod(namespace, "one", **serving, env=env, resources={"limits": {"memory": "256Mi"}})
    return world.wait_ready(namespace, "one")


def heard(terminal, what):
    """What comes from a terminal until ``what`` is in it."""
    said = b""
    while what not in said:
        assert select.select([terminal], [], [], 30)[0], said
        said += os.read(terminal, 4096)
    return said


def test_a_command_has_the_containers_environment_and_its_own_exit_code(kubectl, pod):
    """``exec -- env`` shows what the program was given; exit codes come back as kubectl's own; streams stay apart."""
    told = dict(line.split("=", 1) for line in kubectl("exec", "one", "--", "env").stdout.decode().splitlines())
    assert (told["COLOUR"], told["HOSTNAME"], told["POD_IP"]) == ("red", "one", pod["status"]["podIP"])
    ended = kubectl("exec", "one", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ended.returncode, ended.stdout) == (7, b"out\n")
    assert ended.stderr.decode().splitlines() == ["err", "command terminated with exit code 7"]


def test_input_reaches_the_command_whole_and_so_does_its_end(kubectl, pod):
    """A megabyte through ``exec -i -- cat`` comes back unchanged, and cat ends when the input does."""
    content = os.urandom(1 << 20)
    assert kubectl("exec", "-i", "one", "--", "cat", input=content).stdout == content


def test_files_are_copied_both_ways(kubectl, pod, tmp_path):
    """``kubectl cp`` is exec with tar at the other end."""
    (tmp_path / "there.txt").write_text("hello\n")
    place = kubectl("exec", "one", "--", "pwd").stdout.decode().strip()
    assert kubectl("cp", "there.txt", f"one:{place}/there.txt", cwd=tmp_path).returncode == 0
    assert kubectl("cp", f"one:{place}/there.txt", "back.txt", cwd=tmp_path).returncode == 0
    assert (tmp_path / "back.txt").read_text() == "hello\n"


def test_a_terminal_is_one_and_has_the_size_of_the_clients(world, namespace, pod):
    """With ``-it`` the command sees a terminal, controls it, and reads what is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        config = str(world.state / "kubeconfig")
        seen = "until stty size </dev/tty | grep '33 77'; do sleep 0.1; done"  # it may be told after its start
        talk = f"tty; {seen}; read line; echo got $line"
        os.execvp(  # noqa: S606
            "kubectl",
            ["kubectl", "--kubeconfig", config, "-n", namespace, "exec", "-it", "one", "--", "sh", "-c", talk],
        )
    assert b"/dev/pts/" in heard(terminal, b"33 77")
    os.write(terminal, b"hello\n")
    heard(terminal, b"got hello")
    os.close(terminal)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_cannot_be_run_is_refused_in_kubernetes_words(world, namespace, kubectl, pod):
    """No such command, no such container, a container that does not run."""
    world.pod(namespace, "never", image="lab.test/nosuch:1")
    missing = kubectl("exec", "one", "--", "nosuch")
    assert missing.returncode == 1
    assert b'exec: "nosuch": executable file not found in $PATH' in missing.stderr
    other = kubectl("exec", "one", "-c", "other", "--", "env").stderr
    assert other == b"Error from server (BadRequest): container other is not valid for pod one\n"
    assert b'unable to upgrade connection: container not found ("main")' in kubectl("exec", "never", "--", "env").stderr
    path = f"{world.kube.server}/api/v1/namespaces/{namespace}/pods/one/exec?command=env&stdout=true"
    assert world.kube._http.get(path).json()["message"] == "Upgrade request required"
    spdy = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    answer = world.kube._http.post(path, headers=spdy).json()
    assert (answer["reason"], "WebSockets" in answer["message"]) == ("BadRequest", True)


CLIENTS = """
import sys
from chaosk8s.pod.actions import exec_in_pods
from kubernetes import client, config
from kubernetes.stream import stream
ways = {"stdout": True, "stderr": True, "stdin": False, "tty": False}
core = client.CoreV1Api(config.new_client_from_config())
said = stream(core.connect_get_namespaced_pod_exec, "one", sys.argv[1], command=["echo", "hello"], **ways)
assert said == "hello\\n", said
core = client.CoreV1Api(config.new_client_from_config())
command = ["sh", "-c", "read line; echo got $line; exit 3"]
talk = stream(
    core.connect_get_namespaced_pod_exec, "one", sys.argv[1], command=command, _preload_content=False,
    **ways | {"stdin": True},
)
talk.write_stdin("typed\\n")
talk.run_forever(timeout=20)
assert (talk.read_stdout(), talk.returncode) == ("got typed\\n", 3)
(result,) = exec_in_pods(cmd="echo chaos", name_pattern="one", ns=sys.argv[1], container_name="main")
assert (result["exit_code"], result["stdout"].strip()) == (0, "chaos"), result
"""


def test_the_python_client_and_chaosk8s_run_commands(world, namespace, pod):
    """``kubernetes.stream`` in both of its ways, and chaosk8s' exec, which is built on it."""
    environment = os.environ | {"KUBECONFIG": str(world.state / "kubeconfig")}
    argv = [sys.executable, "-c", CLIENTS, namespace]
    done = subprocess.run(argv, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_a_command_ends_with_its_client_and_with_its_container(world, namespace, kubectl, pod, wait_until):
    """Neither a client that leaves nor a container that ends leaves a command behind."""
    argv = ["kubectl", "--kubeconfig", str(world.state / "kubeconfig"), "-n", namespace, "exec", "one", "--"]
    note = world.state / f"{namespace}.pid"

    def begin():
        client = subprocess.Popen([*argv, "sh", "-c", f"echo $$ > {note}; exec sleep 600"], stderr=subprocess.DEVNULL)
        return client, int(wait_until(lambda: note.exists() and note.read_text(), "the command to begin"))

    client, pid = begin()
    client.kill()
    client.wait()
    wait_until(lambda: not psutil.pid_exists(pid), "the command to end with its client")
    note.unlink()
    client, pid = begin()
    world.delete(namespace, "pods", "one", gracePeriodSeconds=0)
    wait_until(lambda: not psutil.pid_exists(pid), "the command to end with its container")
    assert client.wait(10) != 0


def test_a_dead_agent_is_named_as_a_dead_kubelet_is(own_world, serving):
    """The API server says which connection was refused."""
    namespace = own_world.namespace()
    own_world.pod(namespace, "one", **serving)
    own_world.wait_ready(namespace, "one")
    own_world.stop("agent")
    argv = ["kubectl", "--kubeconfig", str(own_world.state / "kubeconfig"), "-n", namespace, "exec", "one", "--", "env"]
    ended = subprocess.run(argv, capture_output=True, timeout=20, check=False)
    port = json.dumps(
        own_world.kube.get("/api/v1/nodes/lab-node")["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    )
    dead = f"Error from server: error dialing backend: dial tcp 127.0.0.1:{port}: connect: connection refused\n"
    assert (ended.returncode, ended.stderr.decode()) == (1, dead)


def test_a_command_is_back_quickly(kubectl, pod):
    """Nothing on the way waits for a time-out: ``exec -- true`` takes kubectl's own start and little more."""
    assert quick(lambda: kubectl("exec", "one", "--", "true"), under_s=3).returncode == 0
