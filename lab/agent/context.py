"""What every pod of one node agent shares."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.agent.addresses import Addresses
from lab.agent.images import Catalog
from lab.agent.logs import LogWatcher
from lab.agent.process import Process
from lab.agent.records import Records
from lab.agent.warm import WarmStarts
from lab.cgroups import Cgroups
from lab.client import Client
from lab.recorder import Recorder

Object = dict[str, Any]


@dataclass
class Context:
    """Tools and settings; ``state`` is absolute."""

    client: Client
    recorder: Recorder
    catalog: Catalog
    addresses: Addresses
    records: Records
    cgroups: Cgroups
    watcher: LogWatcher
    warm: WarmStarts
    state: Path
    node: str
    node_ip: str
    time_scale: float
    limited: dict[Process, int] = field(default_factory=dict)  # memory limits in bytes, where no cgroup holds them
    writing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(16))

    def pod_folder(self, pod: Object) -> Path:
        """Where a pod's logs, working folders and service account are."""
        meta = pod["metadata"]
        return self.state / "pods" / f"{meta['namespace']}_{meta['name']}_{meta['uid']}"

    def service_environment(self) -> dict[str, str]:
        """Where programs in pods find the API server."""
        server = urlsplit(self.client.server)
        return {
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port or 443),
        }
