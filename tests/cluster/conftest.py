"""A real API stand-in with its controllers as processes; the tests play the kubelet. One per worker."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from ports import free_port

from muster.kube import MERGE, Kube, KubeError, load_access
from muster.system import load_environment, load_system
from muster.wait import wait_until
from muster.workload import read_workload

CHECKOUT = Path(__file__).resolve().parents[2]


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
        with Kube(load_access(state / "kubeconfig")) as kube:
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
    with Kube(load_access(api)) as kube:
        yield kube


class Monitoring:
    """Prometheus' instant queries and Alertmanager's intake: what the test says they hold, and what was posted.

    ``tells(query, at)`` gives the one value of a query, None for no samples. An unknown route is a 404.
    """

    def __init__(self):
        self.tells = lambda _query, _at: 0.0  # nobody suffers
        self.asked, self.posted, self.takes = [], [], True
        monitoring = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                given = {key: values[0] for key, values in urllib.parse.parse_qs(url.query).items()}
                if url.path != "/api/v1/query":
                    return self._say(404, {})
                at = float(given["time"]) if "time" in given else None
                monitoring.asked.append((given["query"], at))
                value = monitoring.tells(given["query"], at)
                result = [] if value is None else [{"metric": {}, "value": [time.time(), str(value)]}]
                return self._say(200, {"status": "success", "data": {"resultType": "vector", "result": result}})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/api/v2/alerts" or not monitoring.takes:
                    return self._say(503 if self.path == "/api/v2/alerts" else 404, {})
                monitoring.posted += body
                return self._say(200, {})

            def _say(self, status, body):
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *words):
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def end(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class Kubelet(threading.Thread):
    """Makes pods of one namespace ready as a node would, and deletes them when asked; knows no processes.

    A pod's image id is the digest of its containers' image and environment. Pods whose environment has NEVER_READY
    stay unready.
    """

    def __init__(self, kubeconfig, namespace):
        super().__init__(daemon=True)
        self._kube = Kube(load_access(kubeconfig))
        self._folder = f"/api/v1/namespaces/{namespace}/pods"
        self.ended = threading.Event()
        self.paused = threading.Event()
        self.digest = None  # set: what every new pod claims to run

    def run(self):
        while not self.ended.wait(0.03):
            for pod in [] if self.paused.is_set() else self._kube.get(self._folder)["items"]:
                try:
                    self._tend(pod)
                except KubeError as error:
                    if error.status not in (404, 409):
                        raise
        self._kube.close()

    def _tend(self, pod):
        path = f"{self._folder}/{pod['metadata']['name']}"
        if pod["metadata"].get("deletionTimestamp"):
            self._kube.delete(path, {"gracePeriodSeconds": 0})
        elif pod.get("status", {}).get("phase", "Pending") == "Pending":
            self._kube.patch(f"{path}/status", {"status": self._status(pod)}, kind=MERGE)

    def _status(self, pod):
        (container,) = pod["spec"]["containers"]
        env = container.get("env") or []
        ready = not any(item["name"] == "NEVER_READY" for item in env)
        build = hashlib.sha256(json.dumps([container["image"], env], sort_keys=True).encode()).hexdigest()
        status = {
            "name": container["name"],
            "image": container["image"],
            "imageID": f"shop/web@{self.digest or 'sha256:' + build}",
            "ready": ready,
            "restartCount": 0,
            "state": {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}},
        }
        since = pod["metadata"]["creationTimestamp"]
        conditions = [
            {"type": kind, "status": "True" if ready else "False", "lastTransitionTime": since}
            for kind in ("Ready", "ContainersReady")
        ]
        return {"phase": "Running", "podIP": "127.0.0.9", "conditions": conditions, "containerStatuses": [status]}


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
        facts = yaml.safe_load((CHECKOUT / "systems" / "x0tta6bl4.yaml").read_text())
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
                "rollback": {"timeout": "60s", "cool_down": "20m"},
                "guard": {"namespaces": [self.namespace], "max_pods": 3},
                "metric_selector": 'app="web"',
                "prometheus": self.monitoring.url,
                "alertmanager": self.monitoring.url,
                **changes,
            }
        }
        (self.folder / "systems").mkdir(exist_ok=True)
        (self.folder / "systems" / "x0tta6bl4.yaml").write_text(yaml.safe_dump(facts))

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
