"""What users of a whole lab see of the agent's measurements."""

import subprocess
from pathlib import Path

import httpx
import pytest

from lab import daemon

pytestmark = pytest.mark.lab
NAMESPACE = "x0tta6bl4-staging"


def test_prometheus_and_kubectl_top_know_what_each_pod_uses(lab, wait_until):
    """The container series of every replica, and a line of ``kubectl top pods`` for each."""
    query = {"query": f'container_memory_working_set_bytes{{namespace="{NAMESPACE}",container="x0tta6bl4"}} > 1e6'}

    def measured():
        answer = httpx.get(f"{lab['prometheus']}/api/v1/query", params=query, trust_env=False).json()
        return {series["metric"]["pod"] for series in answer["data"]["result"]}

    kubectl = ["kubectl", "--kubeconfig", lab["kubeconfig"], "-n", NAMESPACE]
    listed = subprocess.run([*kubectl, "get", "pods", "-o", "name"], capture_output=True, text=True, check=True)
    pods = {line.removeprefix("pod/") for line in listed.stdout.split()}
    wait_until(lambda: measured() >= pods, "Prometheus to have scraped the agent")
    top = subprocess.run([*kubectl, "top", "pods", "--no-headers"], capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in top.stdout.splitlines()} == pods


def test_the_status_says_who_holds_limits(lab):
    """Control groups, or the agent itself."""
    limits = daemon.status(Path(lab["state"])).limits
    assert set(limits) == {"memory-limits", "cpu-limits"}
    assert limits["memory-limits"] in {"cgroup v1", "cgroup v2", "watched by the agent"}
