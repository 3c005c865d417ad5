"""A real API stand-in with its controllers as processes; the tests play the kubelet. One per worker."""

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from ports import free_port
from shop_surroundings import Kubelet, Monitoring

from muster.kube import Kube, KubeError, load_access
from muster.plain_yaml import read_yaml
from muster.system import load_environment, load_system
from muster.wait import wait_until
from muster.workload import read_workload

CHECKOUT = Path(__file__).resolve().parents[2]
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the facts are large, and each test writes them


@contextmanager
def process(argv, log, **options):
    """A child with its log in a file; ended, hard if need be, when the block is left."""
    with log.open("ab") as output:
        child = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    """The kubeconfig of a running API with the deployment, replicaset and gc controllers."""
    from lab.api import pki

    state = tmp_path_factory.mktemp("lab")
    port = free_port()
    pki.make(state, port)
    argv = [sys.executable, "-m", "lab.api", "--state", str(state), "--port", str(port)]
    with process(argv, state / "api.log", cwd=CHECKOUT):
        with Kube(load_access(state / "kubeconfig"), timeout_s=60) as kube:
            wait_until(
                lambda: kube.get("/api/v1/namespaces"),
                lambda answer: bool(answer["items"]),
                what="the API did not answer",
                timeout_s=60,
                tolerate=(KubeError,),
            )
        only = ["--only", "deployment,replicaset,gc"]
        argv = [sys.executable, "-m", "lab.controllers", "--state", str(state), *only, "--time-scale", "60"]
        with process(argv, state / "controllers.log", cwd=CHECKOUT):
            yield state / "kubeconfig"


@pytest.fixture(scope="session")
def kube(api):
    """A session with that API."""
    with Kube(load_access(api), timeout_s=60) as kube:
        yield kube


@pytest.fixture
def shop(api, kube, tmp_path, monkeypatch):
    """A namespace of one's own with a Deployment of three pods, and an environment that points at it."""
    monkeypatch.chdir(tmp_path)
    with _open_shop(api, kube, tmp_path) as shop:
        yield shop


@pytest.fixture(scope="module")
def idle_shop(api, kube, tmp_path_factory):
    """A shop that nobody changes."""
    with _open_shop(api, kube, tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@contextmanager
def _open_shop(api, kube, folder):
    namespace = f"shop-{uuid.uuid4().hex[:8]}"
    kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    kubelet = Kubelet(api, namespace)
    kubelet.start()
    shop = Shop(api, kube, namespace, kubelet, folder)
    shop.monitoring = Monitoring()
    try:
        shop.write_facts()
        shop.create()
        yield shop
    finally:
        kubelet.ended.set()
        kubelet.join(10)
        shop.monitoring.end()
        kube.delete(shop.path)


class Shop:
    """What the tests do with the Deployment ``web`` as people and pipelines would."""

    def __init__(self, api, kube, namespace, kubelet, folder):
        self.api, self.kube, self.namespace, self.kubelet, self.folder = api, kube, namespace, kubelet, folder
        self.path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"

    def write_facts(self, **changes):
        facts = read_yaml((CHECKOUT / "systems" / "x0tta6bl4.yaml").read_text())
        kubernetes = {
            "kubeconfig": str(self.api),
            "server": self.kube.server,
            "namespace": self.namespace,
            "deployment": "web",
            "container": "web",
            "selector": "app=web",
            "port": 8080,
        }
        facts["environments"] = {
            "here": {
                "description": "a test's own",
                "time_scale": 60,
                "kubernetes": kubernetes,
                "rollback": {"timeout": "60s", "cool_down": "2h"},
                "guard": {"namespaces": [self.namespace], "max_pods": 3},
                "metric_selector": 'app="web"',
                "prometheus": self.monitoring.url,
                "alertmanager": self.monitoring.url,
                **changes,
            }
        }
        (self.folder / "systems").mkdir(exist_ok=True)
        (self.folder / "systems" / "x0tta6bl4.yaml").write_text(yaml.dump(facts, Dumper=DUMPER))

    @property
    def system(self):
        return load_system("x0tta6bl4", self.folder)

    @property
    def env(self):
        return load_environment(self.system, "here", self.folder)

    def create(self, replicas=3):
        container = {"name": "web", "image": "shop/web:1", "ports": [{"containerPort": 8080}]}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": self.namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
            },
        }
        self.kube.post(f"/apis/apps/v1/namespaces/{self.namespace}/deployments", deployment)
        self.settle()

    def release(self, image="shop/web:2", *, settle=True, **env):
        variables = [{"name": name, "value": value} for name, value in env.items()]
        container = {"name": "web", "image": image, "env": variables}
        self.kube.patch(self.path, {"spec": {"template": {"spec": {"containers": [container]}}}})
        if settle:
            self.settle()

    def look(self):
        return read_workload(self.kube, self.namespace, "web")

    def settle(self):
        """Wait until the rollout is complete."""
        return wait_until(
            self.look, lambda seen: not seen.shortfall(), what="web did not settle", timeout_s=60, show=Shop.words
        )

    @staticmethod
    def words(seen):
        return f"{seen.shortfall()}; status {seen.deployment.get('status')}"

    def images(self):
        """The images that serve."""
        return sorted(pod["spec"]["containers"][0]["image"] for pod in self.look().serving())

    @contextmanager
    def responder(self, port=None, **environ):
        """``muster respond`` as a process of its own; yields (address, token, process)."""
        port = port or free_port()
        token_file = self.folder / "token"
        token_file.write_text("a-token-of-some-length\n")
        argv = [sys.executable, "-m", "muster", "respond", "--env", "here", "--listen", f"127.0.0.1:{port}"]
        argv += ["--token-file", str(token_file), "--audit", str(self.folder / "audit.jsonl")]
        given = {**os.environ, "PYTHONPATH": str(CHECKOUT), **environ}
        with process(argv, self.folder / "respond.log", cwd=self.folder, env=given) as child:
            yield f"http://127.0.0.1:{port}", "a-token-of-some-length", child
