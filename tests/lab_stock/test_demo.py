"""The demo of the lab, as people type it in a second terminal, on the real lab with its real service."""

import json
import re

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

NAME = "x0tta6bl4-staging"
STATUS = f"rollout status deployment/{NAME} --timeout=60s"


@pytest.fixture
def k(lab, kubectl_for, tmp_path):
    """Kubectl with the lab's kubeconfig, in the namespace of the service, which is whole before and after."""
    kubectl = kubectl_for(lab["kubeconfig"], tmp_path, NAME)
    kubectl(STATUS)
    yield kubectl
    kubectl(f"scale deployment/{NAME} --replicas=3")
    kubectl(STATUS)


def replicas(k):
    """Names of the service's own pods (a canary stands beside it) that are not going away."""
    found = k.json(f"get pods -l app={NAME}")["items"]
    return sorted(one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"])


def test_everything_that_the_demo_shows(k, wait_until):
    """get, restart, undo, delete, top, logs, exec and scale do what they do on a cluster."""
    rows = [line.split()[:4] for line in k("get pods --no-headers").splitlines() if line.startswith(f"{NAME}-")]
    assert len(rows) >= 3
    before = replicas(k)
    assert len(before) == 3

    assert k(f"rollout restart deployment/{NAME}") == f"deployment.apps/{NAME} restarted\n"
    assert k(STATUS).splitlines()[-1] == f'deployment "{NAME}" successfully rolled out'
    assert not set(before) & set(replicas(k))
    revision = k.json(f"get deployment {NAME}")["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    assert k(f"rollout undo deployment/{NAME}") == f"deployment.apps/{NAME} rolled back\n"
    path = "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}"
    k(["wait", f"--for=jsonpath={path}={int(revision) + 1}", f"deployment/{NAME}", "--timeout=20s"])
    k(STATUS)
    assert {name.rpartition("-")[0] for name in replicas(k)} == {before[0].rpartition("-")[0]}

    victim, other, _ = replicas(k)
    assert k(f"delete pod {victim}") == f'pod "{victim}" deleted\n'
    wait_until(lambda: len(names := replicas(k)) == 3 and victim not in names, "another pod in its place")
    k(STATUS)

    def measured():
        used = k.run(f"top pods -l app={NAME}")
        table = [line.split() for line in used.out.splitlines()]
        return table if used.code == 0 and {row[0] for row in table[1:]} == set(replicas(k)) else None

    header, *usage = wait_until(measured, "every pod to be measured", 30)
    assert header == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert all(re.fullmatch(r"\d+m", cpu) and re.fullmatch(r"\d+Mi", memory) for _, cpu, memory in usage)

    assert k(f"logs {other} --tail=5")
    told = dict(line.split("=", 1) for line in k(f"exec {other} -- env").splitlines() if "=" in line)
    address = json.loads(k(f"get pod {other} -o json"))["status"]["podIP"]
    assert (told["HOSTNAME"], told["POD_IP"]) == (other, address)

    assert k(f"scale deployment/{NAME} --replicas=7") == f"deployment.apps/{NAME} scaled\n"
    assert k(STATUS).splitlines()[-1] == f'deployment "{NAME}" successfully rolled out'
    assert k(f"get deployment {NAME} --no-headers").split()[1:4] == ["7/7", "7", "7"]
    k(f"scale deployment/{NAME} --replicas=3")
    wait_until(lambda: len(replicas(k)) == 3, "three replicas", 20)
