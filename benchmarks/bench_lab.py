"""Measures what the lab promises: up, down, idle cost, API speed, replacement of a pod, a Chaos Mesh fault's bite.

Prints one Markdown table of medians. Wants an otherwise idle machine:
``.venv/bin/python benchmarks/bench_lab.py [RUNS]``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from lab.client import Client
from lab.daemon import records
from lab.daemon.folder import Folder

NAMESPACE, APP = "x0tta6bl4-staging", "x0tta6bl4-staging"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
IDLE_S = 15.0

Figures = dict[str, list[float]]


def add(figures: Figures, name: str, value: float) -> None:
    """Note one measured value."""
    figures.setdefault(name, []).append(value)


def until(reached: Callable[[], Any], timeout_s: float = 30.0) -> float:
    """Seconds until it is reached, looked at every 5 ms."""
    began = time.monotonic()
    while not reached():
        if time.monotonic() - began > timeout_s:
            raise SystemExit(f"not reached within {timeout_s:.0f} s: {reached}")
        time.sleep(0.005)
    return time.monotonic() - began


@contextmanager
def running(state: Path, figures: Figures) -> Iterator[dict[str, str]]:
    """A lab, booted and taken down by the command that users type."""
    environ = os.environ | {"LAB_STATE": str(state)}
    command = [sys.executable, "-m", "muster", "lab"]
    began = time.monotonic()
    subprocess.run([*command, "up"], env=environ, check=True, capture_output=True)
    add(figures, "up, s (promised 6)", time.monotonic() - began)
    try:
        yield json.loads((state / "endpoints.json").read_text(encoding="utf-8"))
    finally:
        began = time.monotonic()
        subprocess.run([*command, "down"], env=environ, check=True, capture_output=True)
        add(figures, "down, s (promised 3)", time.monotonic() - began)


def idle(state: Path, figures: Figures) -> None:
    """CPU and memory of every recorded process, while nobody asks for anything but the visitors."""
    everybody = [record.process() for record in records.read_all(Folder(state).records)]
    processes = [process for process in everybody if process]

    def spent() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before, began = spent(), time.monotonic()
    time.sleep(IDLE_S)
    add(figures, "idle, % of one core (promised 10)", 100 * (spent() - before) / (time.monotonic() - began))
    add(figures, "idle, MB, proportional (promised 450)", sum(_pss(process.pid) for process in processes) / 1e6)


def _pss(pid: int) -> int:
    """Shared pages counted once: what the lab really takes from the machine."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))) * 1024


def session(endpoints: dict[str, str]) -> httpx.Client:
    """An administrator's session with the API."""
    state = Path(endpoints["state"])
    token = (state / "token").read_text(encoding="utf-8").strip()
    context = ssl.create_default_context(cafile=state / "pki" / "ca.crt")
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=endpoints["api"], headers=headers, verify=context, trust_env=False, timeout=30)


def ready_pods(api: httpx.Client) -> set[str]:
    """Names of the service's ready pods that are not on their way out."""
    items = api.get(PODS, params={"labelSelector": f"app={APP}"}).json()["items"]
    return {
        pod["metadata"]["name"]
        for pod in items
        if "deletionTimestamp" not in pod["metadata"]
        and any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    }


def replacement(api: httpx.Client, figures: Figures) -> None:
    """A deleted pod until as many are ready as before, none of them the deleted one."""
    before = ready_pods(api)
    victim = min(before)
    api.delete(f"{PODS}/{victim}").raise_for_status()
    took = until(lambda: victim not in (now := ready_pods(api)) and len(now) == len(before))
    add(figures, "deleted pod replaced and ready, s (promised 2)", took)


def chaos(api: httpx.Client, figures: Figures) -> None:
    """A NetworkChaos of 300 ms on one pod until a request to that pod takes 300 ms."""
    pod = min(ready_pods(api))
    address = api.get(f"{PODS}/{pod}").json()["status"]["podIP"]
    body = {
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "NetworkChaos",
        "metadata": {"name": "bench", "namespace": NAMESPACE},
        "spec": {
            "action": "delay",
            "mode": "one",
            "selector": {"pods": {NAMESPACE: [pod]}},
            "delay": {"latency": "300ms"},
            "duration": "30s",
        },
    }
    path = f"/apis/chaos-mesh.org/v1alpha1/namespaces/{NAMESPACE}/networkchaos"

    def slow() -> bool:
        began = time.monotonic()
        with suppress(httpx.TransportError):  # connections that were there when the fault began are reset once
            httpx.get(f"http://{address}:8080/health/ready", trust_env=False)
        return time.monotonic() - began >= 0.25

    api.post(path, json=body).raise_for_status()
    add(figures, "NetworkChaos bites, s (promised 1)", until(slow))
    api.delete(f"{path}/bench").raise_for_status()
    add(figures, "deleted NetworkChaos is over, s (promised 1)", until(lambda: not slow()))


def crowd(api: httpx.Client, figures: Figures) -> None:
    """1,000 pods of the image pause: they start no process."""
    api.post("/api/v1/namespaces", json={"metadata": {"name": "crowd"}}).raise_for_status()
    container = {"name": "pause", "image": "registry.lab/pause:3.10"}
    for number in range(1000):
        pod = {"metadata": {"name": f"pause-{number}"}, "spec": {"containers": [container]}}
        api.post("/api/v1/namespaces/crowd/pods", json=pod).raise_for_status()
    for _ in range(9):
        began = time.monotonic()
        api.get("/api/v1/namespaces/crowd/pods").raise_for_status()
        add(figures, "1,000 pods as JSON, ms (promised 150)", 1000 * (time.monotonic() - began))


def kubectl(endpoints: dict[str, str], figures: Figures) -> None:
    """``kubectl get pods`` less kubectl's own start (``kubectl version --client``)."""
    if shutil.which("kubectl") is None:
        return
    base = ["kubectl", "--kubeconfig", endpoints["kubeconfig"]]
    for _ in range(5):
        took = []
        for command in ([*base, "-n", NAMESPACE, "get", "pods"], [*base, "version", "--client"]):
            began = time.monotonic()
            subprocess.run(command, check=True, capture_output=True)
            took.append(time.monotonic() - began)
        add(figures, "kubectl get pods over kubectl's own start, s (promised 0.3)", took[0] - took[1])


async def watching(endpoints: dict[str, str], figures: Figures) -> None:
    """A change of a pod's annotation until a watcher has it, the write included."""
    from lab.resources import PODS as RESOURCE

    async with Client.from_kubeconfig(endpoints["kubeconfig"]) as client:
        name = (await client.list(RESOURCE, NAMESPACE))["items"][0]["metadata"]["name"]
        marks: asyncio.Queue[tuple[str, float]] = asyncio.Queue()

        async def follow() -> None:
            listed = await client.list(RESOURCE, NAMESPACE)
            version = listed["metadata"]["resourceVersion"]
            async for _, pod in client.watch(RESOURCE, NAMESPACE, resource_version=version):
                if mark := pod["metadata"].get("annotations", {}).get("bench"):
                    marks.put_nowait((mark, time.monotonic()))

        follower = asyncio.create_task(follow())
        await asyncio.sleep(0.5)
        for number in range(50):
            began = time.monotonic()
            patch = {"metadata": {"annotations": {"bench": str(number)}}}
            await client.patch(RESOURCE, NAMESPACE, name, patch)
            mark, at = await asyncio.wait_for(marks.get(), 10)
            while mark != str(number):  # another change of the same pod
                mark, at = await asyncio.wait_for(marks.get(), 10)
            add(figures, "pod change reaches a watcher, ms (promised 20)", 1000 * (at - began))
        follower.cancel()


def main() -> None:
    """Run the rounds and print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    figures: Figures = {}
    for _ in range(runs):
        with TemporaryDirectory(prefix="bench") as folder, running(Path(folder) / "lab", figures) as endpoints:
            time.sleep(3)  # a lab that has just come up is still settling
            idle(Path(endpoints["state"]), figures)
            with session(endpoints) as api:
                asyncio.run(watching(endpoints, figures))
                kubectl(endpoints, figures)
                replacement(api, figures)
                chaos(api, figures)
                crowd(api, figures)
    print("| what | median | least to most |\n| --- | --- | --- |")
    for name, values in figures.items():
        print(f"| {name} | {statistics.median(values):.3g} | {min(values):.3g} to {max(values):.3g} |")


if __name__ == "__main__":
    main()
