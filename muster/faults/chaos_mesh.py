"""Any fault that Chaos Mesh can bring: one object of its API, aimed at pods that the guard allows.

The object names its pods, so what is hit is what was planned. Its ``duration`` is the fault's expiry, so the cluster
ends it even when nobody is left to; it carries the ledger's id, as its targets do. It is confirmed when its condition
AllInjected holds, and gone when the object is: Chaos Mesh lets go of it only after AllRecovered.
https://chaos-mesh.org/docs/define-chaos-experiment-scope/
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

from muster.faults import guard, marks
from muster.faults.intent import EXPIRES_S, Intent, carry_out
from muster.faults.ledger import Entry, Ledger
from muster.faults.victims import Victims, aim, restarts
from muster.faults.whole import await_whole
from muster.kube import Kube, KubeError
from muster.system import Environment
from muster.wait import wait_until
from muster.workload import Json

KIND = "chaos_mesh"
NEEDS = frozenset({"kubernetes", "chaos-mesh"})
GROUP = "chaos-mesh.org/v1alpha1"
GONE_WITHIN_S = 60.0


def intend(
    kube: Kube,
    env: Environment,
    *,
    object_kind: str,
    spec: dict[str, Any],
    how_many: str = "one",
    last_replica: bool = False,
    kind: str = KIND,
    restarts_pods: bool = False,
    lasting: bool = True,
    victims: Victims | None = None,
) -> Intent:
    """Aim an object of Chaos Mesh at ready pods.

    Args:
        kube: A session with the environment's cluster.
        env: The environment; its guard is asked.
        object_kind: "NetworkChaos", "StressChaos", "PodChaos", or any other of its kinds that selects pods.
        spec: The object's own spec, without selector, mode and duration.
        how_many: Of the ready pods, see :func:`~muster.faults.victims.aim`.
        last_replica: Whether every ready pod may be chosen.
        kind: The fault's kind in the ledger.
        restarts_pods: Whether its containers die of it: then healing waits until the Deployment is whole.
        lasting: Whether the object has a duration; a kill happens once and has none.
        victims: Pods chosen already, by whoever had to know them to write the spec.

    Raises:
        Refused: The guard does not allow it, or the cluster has no Chaos Mesh.
        UsageError: ``how_many`` cannot be read, or no pod is ready.
        KubeError: The API could not be asked.
    """
    source = guard.cluster_of(env)
    plural = _plural(kube, env, object_kind)
    victims = victims or aim(kube, env, how_many, last_replica=last_replica)
    folder = f"/apis/{GROUP}/namespaces/{source.namespace}/{plural}"
    named = {"mode": "all", "selector": {"namespaces": [source.namespace], "pods": {source.namespace: victims.names}}}

    def act(entry: Entry) -> str:
        duration = {"duration": f"{max(1, math.ceil(entry.expires_at - time.time()))}s"} if lasting else {}
        kube.post(
            folder,
            {
                "apiVersion": GROUP,
                "kind": object_kind,
                "metadata": {"name": object_name(entry), "annotations": marks.of(entry)},
                "spec": {**spec, **named, **duration},
            },
        )
        return ""

    return Intent(
        kind=kind,
        namespace=source.namespace,
        target=f"{object_kind} on pods {', '.join(victims.names)}",
        sentences=(
            f"create a {object_kind} in {source.namespace} for {victims.words}: {json.dumps(spec, sort_keys=True)}",
        ),
        undo={
            "folder": folder,
            "pods": victims.identities,
            "restarts": restarts(victims.chosen, source.container),
            "whole": source.deployment if restarts_pods else "",
        },
        act=act,
        touches=victims.paths(source.namespace),
        pods=len(victims.chosen),
        ready=victims.ready,
    )


def inject(
    ledger: Ledger, kube: Kube, env: Environment, *, system: str, expires_s: float = EXPIRES_S, **how: Any
) -> Entry:
    """Create the object; the record is on disk first. ``how`` is :func:`intend`'s."""
    return carry_out(intend(kube, env, **how), ledger, kube, env, system=system, heal=heal, expires_s=expires_s)


def confirm(kube: Kube, env: Environment, entry: Entry, *, timeout_s: float = 30.0) -> float:
    """Wait until Chaos Mesh says that every target has it (AllInjected); returns when, in seconds since the epoch."""
    guard.same_cluster(entry, env, kube)
    path = f"{entry.undo['folder']}/{object_name(entry)}"
    wait_until(
        lambda: kube.get(path),
        lambda item: _holds(item, "AllInjected"),
        what=f"{entry.target}: Chaos Mesh did not inject it everywhere",
        timeout_s=timeout_s,
        show=_progress,
    )
    return time.time()


def confirm_restarted(
    kube: Kube, env: Environment, entry: Entry, *, reason: str = "", timeout_s: float = 60.0
) -> float:
    """Wait until every target's container has died of it (and of ``reason``, such as OOMKilled); returns when."""
    source = guard.cluster_of(env)
    before: dict[str, int] = entry.undo["restarts"]

    def missing() -> list[str]:
        pods = kube.get(f"/api/v1/namespaces/{entry.namespace}/pods", labelSelector=source.selector)["items"]
        there = [pod for pod in pods if pod["metadata"]["uid"] in before]
        now = restarts(there, source.container)
        gone = len(before) - len(there)  # how its container ended nobody can say
        return ([f"{gone} of the pods went"] if gone else []) + [
            f"{pod['metadata']['name']} {_last_end(pod, source.container) or 'runs on'}"
            for pod in there
            if now.get(pod["metadata"]["uid"], 0) <= before[pod["metadata"]["uid"]]
            or reason not in _last_end(pod, source.container)
        ]

    wait_until(
        missing,
        lambda left: not left,
        what=f"{entry.target}: not every container died{' ' + reason if reason else ''}",
        timeout_s=timeout_s,
        show=", ".join,
    )
    return time.time()


def heal(kube: Kube, env: Environment, entry: Entry) -> str:
    """Delete the object and wait until Chaos Mesh has recovered every target and let go of it."""
    path = f"{entry.undo['folder']}/{object_name(entry)}"
    try:
        kube.delete(path)
        wait_until(
            lambda: kube.find(path),
            lambda item: item is None,
            what=f"{entry.target}: Chaos Mesh did not recover every target",
            timeout_s=GONE_WITHIN_S,
            show=_progress,
        )
        said = f"{entry.target}: every target has recovered"
    except KubeError as error:
        if error.status != 404:
            raise
        said = f"{entry.target} is gone already"
    if entry.undo["whole"]:
        said += "; " + await_whole(kube, env, entry.namespace, entry.undo["whole"])
    return said


def object_name(entry: Entry) -> str:
    """The name of a fault's object; Kubernetes allows no underscores."""
    return f"muster-{entry.id}".replace("_", "-")


def _plural(kube: Kube, env: Environment, kind: str) -> str:
    try:
        served = kube.get(f"/apis/{GROUP}")["resources"]
    except KubeError as error:
        if error.status != 404:
            raise
        served = []
    plural = next((each["name"] for each in served if each["kind"] == kind and "/" not in each["name"]), None)
    if plural is None:
        raise guard.Refused(f"the cluster of environment {env.name} serves no {kind} of {GROUP}: is Chaos Mesh there?")
    return str(plural)


def _holds(item: Json, condition: str) -> bool:
    found = item.get("status", {}).get("conditions") or []
    return any(each["type"] == condition and each["status"] == "True" for each in found)


def _progress(item: Json | None) -> str:
    """What Chaos Mesh says last of each target."""
    records = ((item or {}).get("status", {}).get("experiment") or {}).get("containerRecords") or []
    if not records:
        return "it has selected no target"
    words = []
    for record in records:
        last = (record.get("events") or [{}])[-1]
        said = last.get("message") or f"{last.get('operation', 'nothing')} {last.get('type', 'yet')}"
        words.append(f"{record['id']} {record['phase']} ({said})")
    return ", ".join(words)


def _last_end(pod: Json, container: str) -> str:
    for status in pod.get("status", {}).get("containerStatuses") or []:
        if status["name"] == container:
            ended = (status.get("lastState") or {}).get("terminated") or {}
            return f"ended {ended['exitCode']} {ended.get('reason', '')}".strip() if ended else ""
    return ""
