"""``/stats/summary``: node, pods and containers in the shape of a kubelet's summary API, for ``metrics.k8s.io``.

https://github.com/kubernetes/kubelet/blob/master/pkg/apis/stats/v1alpha1/types.go
"""

from __future__ import annotations

import json
import time
from typing import Any

import psutil

from lab.agent import usage
from lab.agent.pod import Pod
from lab.agent.usage import Meter, Usage
from lab.objects import timestamp

CONTENT_TYPE = "application/json"
Object = dict[str, Any]


class Summary:
    """Remembers earlier readings, for CPU is told as a rate."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._meter = Meter()

    def text(self, pods: list[Pod]) -> str:
        """The summary as JSON. Containers without a process (pause) use nothing and are left out."""
        at = timestamp(time.time())
        found: dict[str, Object] = {}
        keys = {self._node}
        for pod, container, process in usage.running(pods):
            meta, key = pod.pod["metadata"], container.state.container_id
            keys.add(key)
            used = usage.of(process)
            cores = self._meter.rate(key, used.cpu_s, time.time() - container.started_at)
            entry = found.setdefault(
                meta["uid"],
                {
                    "podRef": {name: meta[name] for name in ("name", "namespace", "uid")},
                    "startTime": pod.pod.get("status", {}).get("startTime"),
                    "containers": [],
                },
            )
            stats = {"name": container.name, "startTime": timestamp(container.started_at)}
            entry["containers"].append(stats | _stats(at, used, cores))
        self._meter.keep(keys)
        for entry in found.values():
            entry |= {kind: _sum(at, [each[kind] for each in entry["containers"]]) for kind in ("cpu", "memory")}
        return json.dumps({"node": self._of_node(at), "pods": list(found.values())})

    def _of_node(self, at: str) -> Object:
        times, memory = psutil.cpu_times(), psutil.virtual_memory()
        busy_s = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        started = psutil.boot_time()
        cores = self._meter.rate(self._node, busy_s, time.time() - started)
        used = memory.total - memory.available
        stats = _stats(at, Usage(busy_s, used, used, used), cores)
        stats["memory"]["availableBytes"] = memory.available
        return {"nodeName": self._node, "startTime": timestamp(started), **stats}


def _stats(at: str, used: Usage, cores: float) -> Object:
    cpu = {"time": at, "usageNanoCores": round(cores * 1e9), "usageCoreNanoSeconds": round(used.cpu_s * 1e9)}
    memory = {"time": at, "usageBytes": used.memory, "workingSetBytes": used.working_set, "rssBytes": used.rss}
    return {"cpu": cpu, "memory": memory}


def _sum(at: str, parts: list[Object]) -> Object:
    return {"time": at} | {key: sum(part[key] for part in parts) for key in parts[0] if key != "time"}
