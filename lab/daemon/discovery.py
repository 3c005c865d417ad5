"""Pods as Prometheus' own Kubernetes discovery would list them, for a Prometheus that was built without it.

Debian removes ``kubernetes_sd_configs`` from its package (its NEWS file says so). Where that is so, the daemon watches
pods through the API and writes the same targets with the same ``__meta_kubernetes_*`` labels to a file, which
Prometheus reads by ``file_sd_configs``; the relabeling, and whatever is built on it, cannot tell the difference.
https://prometheus.io/docs/prometheus/latest/configuration/configuration/#pod
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.daemon.folder import Folder, write_private

if TYPE_CHECKING:
    from lab.client import Client

_META = "__meta_kubernetes"
_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")
_log = logging.getLogger(__name__)
_SETTLE_S = 0.02  # one write for the changes that come together


def targets_file(folder: Folder) -> Path:
    """The file that Prometheus reads."""
    return folder.config / "pods.json"


def is_built_in(configuration: Path) -> bool:
    """Whether the Prometheus on PATH knows the ``kubernetes_sd_configs`` that this file holds, as promtool tells."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return True  # then Prometheus itself will say so
    argv = [promtool, "check", "config", str(configuration)]
    checked = subprocess.run(argv, capture_output=True, text=True, check=False)
    return "kubernetes_sd_configs not found" not in checked.stdout + checked.stderr


async def follow(client: Client, file: Path) -> None:
    """Keep the file in step with the pods until cancelled; while the API is away it keeps what was last known."""
    from lab.informer import Informer
    from lab.resources import PODS

    informer = Informer(client, PODS)
    changed = asyncio.Event()
    informer.on_change(lambda _old, _new: changed.set())
    async with asyncio.TaskGroup() as together:
        together.create_task(informer.run())
        written = ""
        while True:
            await changed.wait()
            await asyncio.sleep(_SETTLE_S)
            changed.clear()
            text = json.dumps([group for pod in informer.items() for group in targets(pod)], indent=1)
            try:
                if text != written:
                    write_private(file, text)
                    written = text
            except OSError as error:  # a full disk, perhaps; the next change tries again
                _log.warning("%s cannot be written: %s", file, error)


def targets(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """One target group per declared port of a pod that has an address."""
    status = pod.get("status", {})
    if not status.get("podIP"):
        return []
    common = _pod_labels(pod)
    return [
        {"targets": [f"{status['podIP']}:{port['containerPort']}"], "labels": common | _port_labels(container, port)}
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
    ]


def _pod_labels(pod: dict[str, Any]) -> dict[str, str]:
    meta, status = pod["metadata"], pod.get("status", {})
    ready = [each["status"] for each in status.get("conditions", ()) if each["type"] == "Ready"]
    owner: dict[str, Any] = next((each for each in meta.get("ownerReferences", ()) if each.get("controller")), {})
    labels = {
        f"{_META}_namespace": meta["namespace"],
        f"{_META}_pod_name": meta["name"],
        f"{_META}_pod_uid": meta["uid"],
        f"{_META}_pod_ip": status["podIP"],
        f"{_META}_pod_host_ip": status.get("hostIP", ""),
        f"{_META}_pod_node_name": pod["spec"].get("nodeName", ""),
        f"{_META}_pod_phase": status.get("phase", ""),
        f"{_META}_pod_ready": (ready or ["unknown"])[0].lower(),
        f"{_META}_pod_controller_kind": owner.get("kind", ""),
        f"{_META}_pod_controller_name": owner.get("name", ""),
    }
    for kind in ("label", "annotation"):
        for key, value in (meta.get(f"{kind}s") or {}).items():
            name = _NOT_IN_LABELS.sub("_", key)
            labels[f"{_META}_pod_{kind}_{name}"] = value
            labels[f"{_META}_pod_{kind}present_{name}"] = "true"
    return labels


def _port_labels(container: dict[str, Any], port: dict[str, Any]) -> dict[str, str]:
    return {
        f"{_META}_pod_container_init": "false",
        f"{_META}_pod_container_name": container["name"],
        f"{_META}_pod_container_image": container.get("image", ""),
        f"{_META}_pod_container_port_name": port.get("name", ""),
        f"{_META}_pod_container_port_number": str(port["containerPort"]),
        f"{_META}_pod_container_port_protocol": port.get("protocol", "TCP"),
    }
