"""The Node object and its heartbeat: what the machine offers, and that somebody is looking after it."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lab.client import Client
from lab.errors import ApiError
from lab.objects import condition, now, now_micro
from lab.resources import LEASES, NAMESPACES, NODES

Object = dict[str, Any]
NODE_NAME = "lab-node"
NODE_IP = "127.0.0.1"
_LEASE_NAMESPACE = "kube-node-lease"
_HEARTBEAT_S = 10.0
_STATUS_EVERY = 30  # heartbeats between two status writes: kubelets write theirs every five minutes
_MAX_PODS = 2000
_KUBELET_VERSION = "v1.36.2"
_log = logging.getLogger(__name__)


@dataclass
class Node:
    """Registers the node and keeps its lease fresh; ``port`` is where logs, exec and metrics are served."""

    client: Client
    port: int
    annotations: dict[str, str] = field(default_factory=dict)
    name: str = NODE_NAME

    async def register(self) -> None:
        """Create the Node, or take over the one that is there. Raises :class:`ApiError`."""
        labels = {
            "beta.kubernetes.io/arch": _architecture(),
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": _architecture(),
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
        }
        meta = {"name": self.name, "labels": labels, "annotations": self.annotations}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": self._status({})}
        try:
            made = await self.client.create(NODES, body)
        except ApiError as error:
            if not error.already_exists:
                raise
            made = await self.client.patch(NODES, None, self.name, {"metadata": {"annotations": self.annotations}})
            made.pop("status", None)  # an earlier agent's: we listen elsewhere
        if not made.get("status", {}).get("conditions"):
            await self._write_status()

    async def run(self) -> None:
        """Heartbeats until cancelled; an API that is away is tried again with the next one."""
        beats = 0
        while True:
            beats += 1
            try:
                await self._write_lease()
                if beats % _STATUS_EVERY == 0 or await self._is_lost():
                    await self._write_status()
            except ApiError as error:
                if error.not_found:
                    await self._register_again()
                elif not error.unreachable:
                    _log.warning("heartbeat: %s", error)
            await asyncio.sleep(_HEARTBEAT_S)

    async def _register_again(self) -> None:
        """The API lost our node: a store that started empty."""
        try:
            await self.register()
        except ApiError as error:
            _log.warning("registration: %s", error)

    async def _is_lost(self) -> bool:
        """Whether somebody took us for gone: we are back, and say so."""
        ready = condition(await self.client.get(NODES, None, self.name), "Ready")
        return ready is None or ready["status"] != "True"

    async def _write_status(self) -> None:
        known = await self.client.get(NODES, None, self.name)
        body = {"status": self._status(known.get("status", {}))}
        await self.client.patch(NODES, None, self.name, body, subresource="status")

    def _status(self, known: Object) -> Object:
        before = {entry["type"]: entry for entry in known.get("conditions") or []}
        memory_kib = psutil.virtual_memory().total // 1024
        disk_kib = psutil.disk_usage("/").total // 1024
        capacity = {
            "cpu": str(os.cpu_count() or 1),
            "ephemeral-storage": f"{disk_kib}Ki",
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "memory": f"{memory_kib}Ki",
            "pods": str(_MAX_PODS),
        }
        conditions = [
            ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ]
        return {
            "capacity": capacity,
            "allocatable": capacity | {"memory": f"{memory_kib - 102400}Ki"},
            "conditions": [_condition(before.get(entry[0]), entry) for entry in conditions],
            "addresses": [
                {"type": "InternalIP", "address": NODE_IP},
                {"type": "Hostname", "address": self.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "nodeInfo": _node_info(),
        }

    async def _write_lease(self) -> None:
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": now_micro()}
        try:
            await self.client.patch(LEASES, _LEASE_NAMESPACE, self.name, {"spec": spec})
        except ApiError as error:
            if not error.not_found:
                raise
            await self._create_lease(spec)

    async def _create_lease(self, spec: Object) -> None:
        node = await self.client.get(NODES, None, self.name)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _LEASE_NAMESPACE}}
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": node["metadata"]["uid"]}
        meta = {"name": self.name, "namespace": _LEASE_NAMESPACE, "ownerReferences": [owner]}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        for resource, body in ((NAMESPACES, namespace), (LEASES, lease)):
            try:
                await self.client.create(resource, body)
            except ApiError as error:
                if not error.already_exists:
                    raise


def _condition(before: Object | None, entry: tuple[str, str, str, str]) -> Object:
    kind, status, reason, message = entry
    since = before["lastTransitionTime"] if before and before["status"] == status else now()
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now(),
        "lastTransitionTime": since,
    }


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _node_info() -> Object:
    machine = _first_line("/etc/machine-id")
    return {
        "architecture": _architecture(),
        "bootID": _first_line("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": "processes://1",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": _KUBELET_VERSION,
        "machineID": machine,
        "operatingSystem": "linux",
        "osImage": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
        if Path("/etc/os-release").exists()
        else "Linux",
        "systemUUID": machine,
    }


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
