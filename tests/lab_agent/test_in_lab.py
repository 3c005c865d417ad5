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
        answer = httpx.get(f"{lab['prometheus']}/api/v1/query", params=query, timeout=30, trust_env=False).json()
        return {series["metric"]["pod"] for series in answer["data"]["result"]}

    def first_words(*command):
        kubectl = ["kubectl", "--kubeconfig", lab["kubeconfig"], "-n", NAMESPACE, *command, "--no-headers"]
        listed = subprocess.run(kubectl, capture_output=True, text=True, check=False)  # top has nothing to say at first
        return {line.split()[0] for line in listed.stdout.splitlines()}

    def agreed():
        pods = first_words("get", "pods")
        return pods and measured() >= pods and first_words("top", "pods") == pods

    wait_until(agreed, "a line and a series for each pod, also after what the test before has left", 20)


def test_the_status_says_who_holds_limits(lab, wait_until):
    """Control groups, or the agent itself."""
    limits = wait_until(lambda: daemon.status(Path(lab["state"])).limits, "the node's word")
    assert set(limits) == {"memory-limits", "cpu-limits"}
    assert limits["memory-limits"] in {"cgroup v1", "cgroup v2", "watched by the agent"}
