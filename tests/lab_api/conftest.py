"""A real API server for each worker, and the ways in which the tests talk to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from lab_world import PATIENCE_S
from ports import free_port


def _await_healthy(url: str, verify: ssl.SSLContext, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{url}/readyz", verify=verify, trust_env=False).status_code == 200:
                return
        except httpx.TransportError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the API did not become healthy: {error}\n{log.read_text()}") from error
        time.sleep(0.03)


@dataclass
class Server:
    """One running server and its files."""

    state: Path
    port: int
    process: subprocess.Popen[bytes]
    http: httpx.Client

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def verify(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.state / "pki" / "ca.crt"))

    def client(self, headers: dict[str, bytes]) -> httpx.Client:
        """A client that shows nothing but these."""
        return httpx.Client(
            base_url=self.url, verify=self.verify(), headers=headers, timeout=PATIENCE_S, trust_env=False
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.http.close()
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def _running(state: Path) -> Iterator[Server]:
    state.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), state / "api.log"
    argv = [sys.executable, "-m", "lab.api", "--state", str(state), "--port", str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    try:
        authority, deadline = state / "pki" / "ca.crt", time.monotonic() + 60
        while not (authority.is_file() and (state / "token").is_file()) and process.poll() is None:
            assert time.monotonic() < deadline, "the API made no certificate"
            time.sleep(0.02)
        verify = ssl.create_default_context(cafile=str(authority))
        _await_healthy(f"https://127.0.0.1:{port}", verify, process, log)
        headers = {"Authorization": f"Bearer {(state / 'token').read_text().strip()}"}
        url = f"https://127.0.0.1:{port}"
        http = httpx.Client(base_url=url, verify=verify, headers=headers, timeout=PATIENCE_S, trust_env=False)
        server = Server(state, port, process, http)
        with http:
            yield server
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory) -> Iterator[Server]:
    with _running(tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture
def run_api():
    """Start servers of one's own: ``with run_api(state) as server``."""
    return _running


@pytest.fixture(scope="session")
def http(api_server) -> httpx.Client:
    return api_server.http


@pytest.fixture
def namespace(http) -> str:
    """A namespace of this test's own."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    http.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    return name


@pytest.fixture(scope="session")
def kubectl(api_server, tmp_path_factory):
    """Run stock kubectl; answers stdout, raises with its words when it fails unless ``fails``."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH: install the client of Kubernetes to run the tests that it judges")
    home = tmp_path_factory.mktemp("home")
    base = [program, "--kubeconfig", str(api_server.kubeconfig), "--cache-dir", str(home / "cache")]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def run(*arguments: str, stdin: Any = None, fails: bool = False) -> str:
        text = stdin if isinstance(stdin, str) or stdin is None else json.dumps(stdin)
        done = subprocess.run(
            [*base, *arguments], input=text, capture_output=True, text=True, timeout=60, env=environment, check=False
        )
        assert (done.returncode != 0) is fails, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def deployment():
    """A small Deployment as a client writes it."""

    def make(name: str = "web", replicas: int = 3, **container: Any) -> dict[str, Any]:
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": name, "image": "lab/web:1.0", **container}]},
                },
            },
        }

    return make


@pytest.fixture
def pod():
    """A pod on a node, so that its deletion waits for a node agent."""

    def make(name: str = "one", **spec: Any) -> dict[str, Any]:
        body = {"containers": [{"name": "main", "image": "lab/web:1.0"}], "nodeName": "lab-node", **spec}
        return {"metadata": {"name": name, "labels": {"app": name}}, "spec": body}

    return make


@pytest.fixture
def request_token(http, namespace):
    """A token of an account that is made if need be; ``spec`` is that of the TokenRequest."""

    def make(name="viewer", **spec):
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        http.post(accounts, json={"metadata": {"name": name}})
        return http.post(f"{accounts}/{name}/token", json={"spec": spec}).raise_for_status().json()

    return make


@pytest.fixture
def client(api_server):
    """HTTP clients with tokens of their own."""
    opened = []

    def make(token):
        raw = token if isinstance(token, bytes) else token.encode()
        headers = {"Authorization": b"Bearer " + raw}
        opened.append(api_server.client(headers))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def viewer(request_token, client):
    """A client of the account ``viewer``, which nothing is granted to yet."""
    return client(request_token()["status"]["token"])


@pytest.fixture
def grant(http, namespace):
    """Bind rules to the account ``viewer``, in its namespace or everywhere."""

    def make(rules, name="reader", *, everywhere=False):
        scope, prefix = ("", "Cluster") if everywhere else (f"/namespaces/{namespace}", "")
        name = f"{name}-{namespace}" if everywhere else name
        path = f"/apis/rbac.authorization.k8s.io/v1{scope}/{prefix.lower()}"
        http.post(f"{path}roles", json={"metadata": {"name": name}, "rules": rules}).raise_for_status()
        subject = {"kind": "ServiceAccount", "name": "viewer", "namespace": namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": f"{prefix}Role", "name": name}
        binding = {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}
        http.post(f"{path}rolebindings", json=binding).raise_for_status()

    return make
