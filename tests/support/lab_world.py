"""A small real world for tests: API stand-in, controllers and node agent as processes, with images of tiny programs.

The fixtures on it stand in ``tests/conftest.py``: ``world``, ``own_world``, ``namespace``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import yaml
from ports import free_port

from lab import cgroups
from muster.kube import JSON_PATCH, MERGE, Kube, KubeError, load_access

PROGRAM = Path(__file__).with_name("tiny_server.py")
PATIENCE_S = 30.0  # over what a machine with other work needs; what must be quick says so itself
CONTROLLERS = "deployment,replicaset,endpoints,gc,quota,disruption,hpa,kube-state-metrics"
_numbers = itertools.count()


class World:
    """Components in a state folder; ``kube`` is an administrator's session, ``flags`` are the controllers' own."""

    def __init__(self, state: Path, *, controllers: str = CONTROLLERS, **flags: str) -> None:
        self.state = state
        self.images = state / "images.yaml"
        self.port = free_port()
        self.metrics_port = free_port()
        self.free_port = free_port
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._controllers = ["--only", controllers]
        self._controllers += [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)]
        (state / "server.py").write_text(PROGRAM.read_text())
        self.write_images()

    def write_images(self, **more: Any) -> None:
        """(Re)write images.yaml."""
        python = [sys.executable, "-S", "-E"]
        server = {"tags": ["1", "2", "3"], "command": [*python, str(self.state / "server.py")]}
        images = {
            "lab.test/web": server | {"env": {"VERSION": "{tag}"}, "files": [str(self.state / "server.py")]},
            "lab.test/pause": {"tags": ["1", "2", "3", "4"], "pause": True},
            "lab.test/sh": {"tags": ["1"], "command": ["sh", "-c"]},
        }
        half = self.images.with_suffix(".new")
        half.write_text(yaml.safe_dump({"images": images | more}))
        half.replace(self.images)

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Start everything and wait until the node is registered."""
        self.start("api")
        self.start("controllers")
        self.start("agent")
        wait_until(lambda: self.kube.get("/api/v1/nodes/lab-node"), "the node to be registered")

    def start(self, name: str, *more_words: str) -> None:
        """Start one component."""
        more = {
            "api": ["--port", str(self.port)],
            "controllers": [*self._controllers, "--kube-state-metrics-port", str(self.metrics_port)],
            "agent": ["--images", str(self.images)],
        }[name]
        with (self.state / f"{name}.out").open("ab") as log:
            argv = [sys.executable, "-m", f"lab.{name}", "--state", str(self.state), *more, *more_words]
            self._processes[name] = subprocess.Popen(argv, stdout=log, stderr=log)
        if name == "api":
            config = self.state / "kubeconfig"
            wait_until(config.exists, "the kubeconfig")
            self.kube = Kube(load_access(config), timeout_s=PATIENCE_S)
            wait_until(lambda: self.kube.get("/api/v1/namespaces"), "the API to answer")

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one component."""
        process = self._processes.pop(name)
        process.send_signal(number)
        process.wait(10)
        if name == "api":
            self.kube.close()

    def down(self) -> None:
        """End everything, pods' processes too, by their records."""
        for name in [name for name in ("agent", "controllers", "api") if name in self._processes]:
            self.stop(name)
        for path in (self.state / "records").glob("pod-*.json"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(json.loads(path.read_text())["pid"], signal.SIGKILL)
        cgroups.sweep(self.state)

    def log(self, name: str) -> str:
        """What a component has said."""
        return (self.state / f"{name}.out").read_text()

    # Objects

    def namespace(self) -> str:
        """A fresh namespace."""
        name = f"test-{os.getpid()}-{next(_numbers)}"
        self.kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def abandon(self, namespace: str) -> None:
        """Have it deleted with all that is in it, if it is still there; nobody waits for that."""
        with contextlib.suppress(KubeError, RuntimeError):  # the test has deleted it, or ended the API or this world
            self.kube.delete(f"/api/v1/namespaces/{namespace}")

    def deployment(self, namespace: str, name: str = "web", **spec: Any) -> dict[str, Any]:
        """Create a deployment; keywords are spec fields, and ``container`` and ``pod`` add to those."""
        container = {"name": "main", "image": "lab.test/pause:1"} | spec.pop("container", {})
        pod = {"terminationGracePeriodSeconds": 1, "containers": [container]} | spec.pop("pod", {})
        template = {"metadata": {"labels": {"app": name}}, "spec": pod}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": template} | spec,
        }
        return self.kube.post(f"/apis/apps/v1/namespaces/{namespace}/deployments", body)

    def pod(self, namespace: str, name: str, *, pod: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
        """Create a bare pod; keywords are container fields."""
        spec = {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main"} | container]} | (pod or {})
        meta = {"name": name, "namespace": namespace, "labels": {"app": name}}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
        return self.kube.post(f"/api/v1/namespaces/{namespace}/pods", body)

    def service(self, namespace: str, name: str = "web", **spec: Any) -> dict[str, Any]:
        """Create a service on the pods with label app=name."""
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}}
        return self.kube.post(
            f"/api/v1/namespaces/{namespace}/services",
            body | {"spec": {"selector": {"app": name}, "ports": ports} | spec},
        )

    def create(self, namespace: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Create an object by plural; its kind and version are the path's."""
        body = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
        return self.kube.post(f"{root(kind)}/namespaces/{namespace}/{kind}", body)

    def get(self, namespace: str, kind: str, name: str) -> dict[str, Any]:
        """One object by plural."""
        return self.kube.get(f"{root(kind)}/namespaces/{namespace}/{kind}/{name}")

    def items(self, namespace: str, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """Objects by plural."""
        query = {"labelSelector": selector} if selector else {}
        return list(self.kube.get(f"{root(kind)}/namespaces/{namespace}/{kind}", **query)["items"])

    def patch(self, namespace: str, kind: str, name: str, body: Any) -> dict[str, Any]:
        """Merge patch, or JSON patch when the body is a list."""
        path = f"{root(kind)}/namespaces/{namespace}/{kind}/{name}"
        return self.kube.patch(path, body, kind=JSON_PATCH if isinstance(body, list) else MERGE)

    def set_image(self, namespace: str, image: str, name: str = "web") -> None:
        """What ``kubectl set image`` does."""
        change = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}
        self.patch(namespace, "deployments", name, [change])

    def delete(self, namespace: str, kind: str, name: str, **options: Any) -> None:
        """Delete with DeleteOptions fields as keywords."""
        self.kube.delete(f"{root(kind)}/namespaces/{namespace}/{kind}/{name}", options)

    def wait_rolled_out(self, namespace: str, name: str = "web", timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait as ``kubectl rollout status`` does, and return the deployment."""

        def done() -> dict[str, Any] | None:
            found = self.get(namespace, "deployments", name)
            status, wanted = found.get("status", {}), found["spec"]["replicas"]
            counts = [status.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas")]
            current = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
            return found if current and counts == [wanted] * 3 else None

        return wait_until(done, f"{name} to be rolled out", timeout_s)

    def wait_ready(self, namespace: str, name: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for a pod's Ready condition, and return the pod."""
        return wait_until(
            lambda: (
                (pod := self.get(namespace, "pods", name))
                if condition(self.get(namespace, "pods", name), "Ready") == "True"
                else None
            ),
            f"pod {name} to be ready",
            timeout_s,
        )

    def events(self, namespace: str, name: str) -> list[tuple[str, str]]:
        """``(reason, message)`` of the events about an object."""
        found = self.items(namespace, "events")
        return [(e["reason"], e["message"]) for e in found if e["involvedObject"]["name"] == name]

    def asks(self, pod: dict[str, Any], path: str) -> str:
        """The body that a pod's program answers."""
        with socket.create_connection((pod["status"]["podIP"], 8080), timeout=PATIENCE_S) as peer:
            peer.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            answer = b""
            while data := peer.recv(65536):
                answer += data
        return answer.partition(b"\r\n\r\n")[2].decode()


def root(kind: str) -> str:
    """The API path of a plural's group."""
    groups = {
        "deployments": "apps/v1",
        "replicasets": "apps/v1",
        "endpointslices": "discovery.k8s.io/v1",
        "horizontalpodautoscalers": "autoscaling/v2",
        "poddisruptionbudgets": "policy/v1",
    }
    return f"/apis/{groups[kind]}" if kind in groups else "/api/v1"


def serving() -> dict[str, Any]:
    """Container fields of a program that serves, with a readiness probe."""
    return {
        "image": "lab.test/web:1",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": "http"},
            "periodSeconds": 1,
            "timeoutSeconds": 5,  # or a program that a busy machine lets wait for a second would be unready
            "failureThreshold": 1,
        },
    }


def condition(item: dict[str, Any], kind: str) -> str | None:
    """The status of a condition."""
    found = [c for c in item.get("status", {}).get("conditions") or [] if c["type"] == kind]
    return found[0]["status"] if found else None


def wait_until(ready: Any, what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is true; an API error counts as not yet, the last answer is in the failure."""
    deadline = time.monotonic() + timeout_s
    last: Any = None
    while time.monotonic() < deadline:
        try:
            last = ready()
        except KubeError as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s} s for {what}; last: {last!r}")
