"""Replicas find one another through a Kubernetes API, with the standard library only."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ports import free_port

import lab
from lab.api import pki

SPACE = "x0tta6bl4-staging"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{SPACE}/endpointslices"
MANIFEST = Path(lab.__file__).parent / "manifests" / "10-x0tta6bl4-staging.yaml"
PLACES = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": f"/api/v1/namespaces/{SPACE}/serviceaccounts",
    "Role": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SPACE}/roles",
    "RoleBinding": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SPACE}/rolebindings",
}


class Api:
    """The lab's API stand-in as a process, and a pod's way to it: the account of the manifests and its token."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.port = free_port()
        pki.make(folder, self.port)
        self.account = account = folder / "account"
        account.mkdir()
        shutil.copy(folder / "pki" / "ca.crt", account / "ca.crt")
        (account / "namespace").write_text(SPACE)
        self.environment = {
            "MESH_PEERS": "",
            "MESH_SERVICE": "web",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.port),
            "SERVICEACCOUNT_ROOT": str(account),
        }
        self.tls = ssl.create_default_context(cafile=account / "ca.crt")
        self.start()

    def start(self) -> None:
        with (self.folder / "api.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lab.api", "--state", str(self.folder), "--port", str(self.port)],
                stdout=log,
                stderr=log,
                env=os.environ,
            )

    def stop(self) -> None:
        self.process.terminate()  # in peace, so that what it stores is there when it comes back
        self.process.wait(10)

    def send(self, method: str, path: str, body: dict) -> int:
        """The status of one request; 0 while nobody listens."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {(self.folder / 'token').read_text()}", "Content-Type": kind}
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=5)
        try:
            connection.request(method, path, json.dumps(body), headers)
            response = connection.getresponse()
            self.answer = json.load(response)
        except OSError:
            return 0
        else:
            return response.status
        finally:
            connection.close()

    def settle(self) -> None:
        """Make what the manifests give a replica: namespace, account, role, and a token of that account."""
        for item in yaml.safe_load_all(MANIFEST.read_text()):
            if item["kind"] in PLACES:
                assert self.send("POST", PLACES[item["kind"]], item) == 201, self.answer
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        assert self.send("POST", f"{PLACES['ServiceAccount']}/x0tta6bl4/token", request) == 201, self.answer
        (self.account / "token").write_text(self.answer["status"]["token"])


def endpoints(replicas, leaving=()) -> list[dict]:
    return [
        {
            "addresses": [it.address],
            "conditions": {"ready": it not in leaving, "terminating": it in leaving},
            "targetRef": {"kind": "Pod", "name": it.name, "namespace": SPACE},
        }
        for it in replicas
    ]


@pytest.fixture
def api(tmp_path, eventually):
    folder = tmp_path / "state"
    folder.mkdir()
    made = Api(folder)
    try:
        eventually(lambda: made.send("GET", "/api/v1/namespaces", {}) == 200, "the API answers")
        made.settle()
        yield made
    finally:
        made.stop()


def test_membership_follows_the_endpoint_slices_and_survives_the_api(api, replicas, eventually):
    """Who is listed is a peer, ready or not; who terminates is none; a lost API dissolves nothing."""
    trio = replicas(3, **api.environment)

    def sees(it, *names: str) -> bool:
        peers = it.get("/mesh/peers").json()["peers"]
        return {peer["name"] for peer in peers if peer["alive"]} == set(names) and len(peers) == len(names)

    for it in trio:
        it.up()
        assert it.get("/mesh/status").json()["status"] == "isolated"
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": SPACE, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "mesh", "port": 9443, "protocol": "TCP"}],
        "endpoints": endpoints(trio),
    }
    assert api.send("POST", SLICES, body) == 201
    eventually(lambda: sees(trio[0], "r1", "r2") and sees(trio[2], "r0", "r1"), "all found one another")
    patch = {"endpoints": endpoints(trio, leaving=[trio[2]])}
    assert api.send("PATCH", f"{SLICES}/web-1", patch) == 200
    eventually(lambda: sees(trio[0], "r1"), "a leaving replica is no peer")
    api.stop()
    eventually(lambda: "the last known peers stay" in trio[0].log.read_text(), "the loss is logged")
    eventually(lambda: sees(trio[0], "r1"), "they go on greeting")
    api.start()
    eventually(lambda: api.send("PATCH", f"{SLICES}/web-1", {"endpoints": endpoints(trio)}) == 200, "the API is back")
    eventually(lambda: sees(trio[0], "r1", "r2"), "membership is followed again")
