"""A node is cordoned and the system's pods on it are evicted, as for maintenance; PodDisruptionBudgets are respected.

Other systems' pods on the node are left alone. The eviction API refuses what a budget forbids; nothing is forced, and
the last ready replica is not evicted even where no budget protects it.
"""

from __future__ import annotations

import time
from collections import Counter

from muster.errors import UsageError
from muster.faults import guard
from muster.faults.intent import Intent
from muster.faults.ledger import Entry
from muster.faults.victims import ready_pods
from muster.faults.whole import await_whole
from muster.kube import MERGE, Kube, KubeError
from muster.system import Environment
from muster.system.units import parse_duration
from muster.wait import TimedOut, wait_until
from muster.workload import Json

KIND = "node_drain"
NEEDS = frozenset({"kubernetes", "nodes"})


def intend(
    kube: Kube, env: Environment, *, node: str = "", patience: str = "30s", last_replica: bool = False
) -> Intent:
    """Aim at a node (default: the one with most of the system's ready pods) and the system's ready pods on it.

    ``patience`` is how long an eviction that a budget refuses is asked for again. Raises
    :class:`~muster.faults.guard.Refused`, UsageError when no ready pod is there, KubeError.
    """
    source = guard.cluster_of(env)
    guard.allow_nodes(env)
    ready = ready_pods(kube, env)
    if not ready:
        raise UsageError("no pod is ready, so draining a node would prove nothing")
    node = node or Counter(pod["spec"]["nodeName"] for pod in ready).most_common(1)[0][0]
    there = [pod["metadata"]["name"] for pod in ready if pod["spec"]["nodeName"] == node]
    if not there:
        raise UsageError(f"no ready pod of the system is on node {node}, so draining it would prove nothing")
    touched = len(there) if last_replica else min(len(there), len(ready) - 1)  # the last one is never evicted
    guard.allow(env, kube, namespace=source.namespace, pods=touched)
    guard.allow_share(env, touched=touched, ready=len(ready), last_replica=last_replica)
    path = f"/api/v1/nodes/{node}"
    if kube.get(path)["spec"].get("unschedulable"):
        raise UsageError(f"node {node} is cordoned already, so healing could not tell whose cordon it is")
    least = 0 if last_replica else 1
    limit_s = parse_duration(patience)

    def act(_: Entry) -> str:
        kube.patch(path, {"spec": {"unschedulable": True}}, kind=MERGE)
        evicted, refused = _evict(kube, env, there, least=least, until=time.monotonic() + limit_s)
        return f"evicted {len(evicted)} of {len(there)} pods" + (f"; {refused}" if refused else "")

    return Intent(
        kind=KIND,
        namespace=source.namespace,
        target=f"node/{node}",
        sentences=(
            f"cordon node {node}: no new pod is scheduled there, of any system",
            f"evict {', '.join(there)} from it, one after the other, for at most {patience}: respecting budgets"
            + ("" if last_replica else ", and never the last ready pod"),
        ),
        undo={"node": node, "deployment": source.deployment},
        act=act,
        touches=(path,),
        pods=touched,
        ready=len(ready),
    )


def _evict(kube: Kube, env: Environment, names: list[str], *, least: int, until: float) -> tuple[list[str], str]:
    """Evict one pod after the other; returns those that went, and why the next one did not (empty: all went)."""
    namespace = guard.cluster_of(env).namespace
    evicted: list[str] = []

    def try_one(name: str) -> str:
        """Why this pod cannot be evicted now; empty once it is."""
        if len(ready_pods(kube, env)) <= least:
            return f"{name} is the last ready pod"
        body: Json = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        try:
            kube.post(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)
        except KubeError as error:
            if error.status == 404:
                return ""
            if error.status == 429:
                return str(error).removeprefix("Kubernetes API: ")
            raise
        return ""

    for name in names:
        try:
            wait_until(
                lambda name=name: try_one(name),  # type: ignore[misc]
                lambda why: not why,
                what=f"pod {name} was not evicted",
                timeout_s=max(0.0, until - time.monotonic()),
                every_s=0.5,
            )
        except TimedOut as error:
            return evicted, error.last
        evicted.append(name)
    return evicted, ""


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Uncordon the node, and wait until the Deployment has all its pods again."""
    node = entry.undo["node"]
    try:
        kube.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": None}}, kind=MERGE)
        said = f"node {node} is schedulable again"
    except KubeError as error:
        if error.status != 404:
            raise
        said = f"node {node} is gone"
    return f"{said}; {await_whole(kube, env, entry.namespace, entry.undo['deployment'])}"


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 30.0) -> float:
    """Wait until the node is cordoned; returns when that was seen, in seconds since the epoch."""
    guard.same_cluster(entry, env, kube)
    wait_until(
        lambda: kube.get(f"/api/v1/nodes/{entry.undo['node']}"),
        lambda node: bool(node["spec"].get("unschedulable")),
        what=f"{entry.target} was not cordoned",
        timeout_s=timeout_s,
        show=lambda _: "it is schedulable",
    )
    return time.time()
