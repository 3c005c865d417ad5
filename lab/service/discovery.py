"""Who the other replicas are: the endpoint slices of the mesh service, listed and watched in a background thread.

The standard library's HTTP client is enough for one list and one watch, and costs a replica no memory. While the API
is away the last known membership stays: a lost API must not dissolve a mesh.
"""

from __future__ import annotations

import http.client
import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

from lab.service.settings import ApiAccess, Peer, Settings

WATCH_S = 60
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
log = logging.getLogger("mesh")


class Discovery:
    """Keeps ``peers`` (never this replica itself), says when it changes; ``known`` is False before the first list."""

    def __init__(self, settings: Settings, on_change: Callable[[], None]) -> None:
        self.peers: tuple[Peer, ...] = settings.static_peers
        self.known = settings.api is None
        self._settings, self._on_change = settings, on_change
        self._slices: dict[str, dict[str, Any]] = {}
        self._stopped = threading.Event()

    def start(self) -> None:
        """Follow the API, if there is one, until :meth:`stop`."""
        if self._settings.api:
            threading.Thread(target=self._follow, args=(self._settings.api,), name="discovery", daemon=True).start()

    def stop(self) -> None:
        """Stop at the next event; the thread is a daemon and never outlives the process."""
        self._stopped.set()

    def _follow(self, api: ApiAccess) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                for _ in self._events(api):
                    failures = 0
                    self._publish()
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                if failures == 0:
                    log.warning("discovery: %s; the last known peers stay", error or type(error).__name__)
                self._stopped.wait(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1

    def _events(self, api: ApiAccess) -> Iterator[None]:
        """List, then watch until the server ends it; one item per change of ``_slices``."""
        connection = http.client.HTTPSConnection(
            api.host, api.port, timeout=WATCH_S + 10, context=ssl.create_default_context(cafile=api.account / "ca.crt")
        )
        try:
            namespace = (api.account / "namespace").read_text().strip()
            path = (
                f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                f"?labelSelector=kubernetes.io%2Fservice-name%3D{self._settings.mesh_service}"
            )
            listed = json.load(self._get(connection, api, path))
            self._slices = {item["metadata"]["name"]: item for item in listed.get("items") or ()}
            yield
            version = listed["metadata"]["resourceVersion"]
            stream = self._get(connection, api, f"{path}&watch=true&resourceVersion={version}&timeoutSeconds={WATCH_S}")
            while not self._stopped.is_set() and (line := stream.readline()):
                self._apply(json.loads(line))
                yield
        finally:
            connection.close()

    @staticmethod
    def _get(connection: http.client.HTTPSConnection, api: ApiAccess, path: str) -> http.client.HTTPResponse:
        token = (api.account / "token").read_text().strip()  # read each time: real clusters rotate it
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "Accept": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            response.read()
            raise http.client.HTTPException(f"the API answered {response.status} to a look for peers")
        return response

    def _apply(self, event: dict[str, Any]) -> None:
        item = event["object"]
        if event["type"] == "ERROR":  # usually 410, the version is too old: list again
            raise http.client.HTTPException(f"watch ended: {item.get('message', 'no reason given')}")
        if event["type"] == "DELETED":
            self._slices.pop(item["metadata"]["name"], None)
        else:
            self._slices[item["metadata"]["name"]] = item

    def _publish(self) -> None:
        found = tuple(sorted(self._read(), key=lambda peer: (peer.name, peer.address)))
        changed = found != self.peers or not self.known
        self.peers, self.known = found, True
        if changed:
            log.info("discovery: %d peers: %s", len(found), ", ".join(peer.name for peer in found) or "none")
            self._on_change()

    def _read(self) -> set[Peer]:
        """Every replica that is not leaving, ready or not: a replica meshes before it takes traffic."""
        settings, found = self._settings, set()
        for item in self._slices.values():
            ports = {port.get("name"): port.get("port") for port in item.get("ports") or ()}
            for endpoint in item.get("endpoints") or ():
                name = (endpoint.get("targetRef") or {}).get("name", "")
                gone = (endpoint.get("conditions") or {}).get("terminating")
                for address in endpoint.get("addresses") or ():
                    if not gone and address != settings.address:
                        port = ports.get("mesh") or settings.mesh_port
                        found.add(Peer(name=name or address, address=address, port=port))
        return found
