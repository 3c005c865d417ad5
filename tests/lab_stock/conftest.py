"""The whole small world, and the stock clients that judge it: one world per worker, a namespace per story."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import NamedTuple

import lab_world
import pytest

_DEADLINE_S = 60
_COUNTS = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


class Kubectl:
    """Stock kubectl in one namespace. A call must succeed and returns stdout; ``fails`` returns stderr."""

    def __init__(self, kubeconfig, home, namespace):
        self.namespace = namespace
        program = shutil.which("kubectl")
        if program is None:
            pytest.skip("kubectl is not on PATH: install the client of Kubernetes to run the tests that it judges")
        self._argv = [program, "--kubeconfig", str(kubeconfig), "--cache-dir", str(home / "cache"), "-n", namespace]
        self._environment = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def run(self, line, stdin=None):
        """Run a line of words (or a list); ``stdin`` is an object or a list of objects, sent as JSON."""
        words = line.split() if isinstance(line, str) else line
        many = {"apiVersion": "v1", "kind": "List", "items": stdin} if isinstance(stdin, list) else stdin
        text = None if stdin is None else json.dumps(many)
        argv = [*self._argv, *words]
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=60, env=self._environment, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def start(self, line):
        """The running process, with pipes for both its outputs."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*self._argv, *line.split()], text=True, env=self._environment, **pipes)

    def __call__(self, line, stdin=None):
        said = self.run(line, stdin)
        assert said.code == 0, (line, said)
        return said.out

    def fails(self, line, stdin=None):
        """Exit code 1, and what it complained of."""
        said = self.run(line, stdin)
        assert said.code == 1, (line, said)
        return said.err

    def json(self, line):
        """The answer of ``get ... -o json``."""
        return json.loads(self(f"{line} -o json"))

    def table(self, line):
        """The rows of a printed table: header first, cells apart, ages and restarts' ages made equal."""
        return [
            ["AGE" if re.fullmatch(r"(\d+[smhd])+", cell) else cell for cell in re.split(r" {2,}", row.strip())]
            for row in self(line).splitlines()
            if row.strip()
        ]

    def pods(self):
        """Names of the pods that are not going away, sorted."""
        return staying(self.json("get pods")["items"])

    def observed(self):
        """Wait for the controller to have seen the Deployment as it is now."""
        generation = self.json("get deployment web")["metadata"]["generation"]
        self(f"wait --for=jsonpath={{.status.observedGeneration}}={generation} deployment/web --timeout=30s")

    def stands(self, count, *gone):
        """Whether that many pods, none of these among them, are all that the Deployment counts and its service reaches.

        ``rollout status`` is content with the counts of before a pod went, and knows nothing of the service.
        """
        found = self.json("get deployments,pods,endpointslices")["items"]
        (web,) = (one["status"] for one in found if one["kind"] == "Deployment")
        names = staying(one for one in found if one["kind"] == "Pod")
        slices = (one.get("endpoints") or [] for one in found if one["kind"] == "EndpointSlice")
        reached = {end["targetRef"]["name"]: end["conditions"]["ready"] for ends in slices for end in ends}
        counted = {web.get(name, 0) for name in _COUNTS}
        whole = len(names) == count and counted == {count} and reached == dict.fromkeys(names, True)
        return whole and not {*gone} & {*names}

    @contextmanager
    def deadline(self, seconds):
        """Have rollouts given up so soon while entered; on a machine that stands still it can hit a good one, too."""
        self._set_deadline(seconds)
        yield
        self._set_deadline(_DEADLINE_S)
        self.observed()

    def _set_deadline(self, seconds):
        self(["patch", "deployment", "web", "-p", json.dumps({"spec": {"progressDeadlineSeconds": seconds}})])


def staying(pods):
    """Names of those that are not going away, sorted."""
    return sorted(one["metadata"]["name"] for one in pods if "deletionTimestamp" not in one["metadata"])


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    with lab_world.World(tmp_path_factory.mktemp("stock"), controllers=f"{lab_world.CONTROLLERS},node") as world:
        yield world


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """kubectl's home: its cache of discovery is shared by all tests, as a user's is."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def manifest():
    """A Deployment with every field that the stories change, as a client writes it."""

    def make(**spec):
        probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 2}
        probe["timeoutSeconds"] = 5  # or a program that a busy machine lets wait for a second would be unready
        container = {
            "name": "web",
            "image": "lab.test/web:1",
            "env": [{"name": "LOG_LEVEL", "value": "info"}],
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": probe,
            "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "16Mi"}},
        }
        labels = {"app": "web"}
        pod = {"terminationGracePeriodSeconds": 10, "containers": [container]}
        template = {"metadata": {"labels": labels}, "spec": pod}
        body = {"replicas": 3, "progressDeadlineSeconds": _DEADLINE_S}
        body |= {"selector": {"matchLabels": labels}, "template": template}
        meta = {"name": "web", "labels": {"app": "web", "tier": "front"}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": body | spec}

    return make


@pytest.fixture(scope="session")
def service():
    """The service of that Deployment."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    meta = {"name": "web", "labels": {"app": "web"}}
    spec = {"selector": {"app": "web"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


@pytest.fixture(scope="session")
def new_shop(world, home):
    """A function: kubectl in a fresh namespace."""
    return lambda: Kubectl(world.state / "kubeconfig", home, world.namespace())


@pytest.fixture
def k(new_shop):
    """Kubectl in an empty namespace."""
    return new_shop()


@pytest.fixture
def shop(new_shop, manifest, service, wait_until):
    """Kubectl in a namespace in which the Deployment and its service stand and are ready."""
    return _open(new_shop(), manifest, service, wait_until)


@pytest.fixture(scope="module")
def window(new_shop, manifest, service, wait_until):
    """As ``shop``, for tests that only look: one for all of a file."""
    return _open(new_shop(), manifest, service, wait_until)


def _open(kubectl, manifest, service, wait_until):
    kubectl("apply -f -", stdin=[manifest(), service])
    kubectl("rollout status deployment/web --timeout=30s")
    wait_until(lambda: kubectl.stands(3), "three pods")
    return kubectl


@pytest.fixture
def script(world):
    """Run Python with the official client loaded, in a process of its own: it is slow to import and keeps globals."""
    head = """
        import sys, time
        from kubernetes import client, config, watch
        config.load_kube_config(sys.argv[1])
        ns, core, apps = sys.argv[2], client.CoreV1Api(), client.AppsV1Api()
        def error(call, *args, **kwargs):
            try:
                call(*args, **kwargs)
            except Exception as problem:
                return problem
            raise AssertionError("no error")
        def until(ready):
            deadline = time.monotonic() + 30
            while not (found := ready()):
                assert time.monotonic() < deadline, (ready, found)
                time.sleep(0.02)
            return found
    """

    def run(namespace, text):
        program = textwrap.dedent(head) + textwrap.dedent(text)
        config = str(world.state / "kubeconfig")
        environment = {"PATH": os.environ["PATH"], "HOME": str(world.state), "KUBECONFIG": config}
        argv = [sys.executable, "-c", program, config, namespace]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=90, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture
def kubectl_for():
    """A function: kubectl with this kubeconfig, this home and this namespace."""
    return Kubectl
