"""The lab as its users see it: what must hold before it counts as up, and what its pods look like now."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lab.daemon.conditions import Condition
from lab.daemon.folder import Folder
from lab.errors import LabError

if TYPE_CHECKING:
    import aiohttp

    from lab.client import Client

_REQUEST_S = 2.0
NEVER = "0001-01-01"  # Go's zero time: not evaluated yet


class World:
    """Asks the lab's servers, each question with its own short deadline. Clients are made when first used."""

    def __init__(self, folder: Folder, plan: dict[str, str]) -> None:
        self._folder = folder
        self._plan = plan
        self._session: aiohttp.ClientSession | None = None
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """A client of the lab's Kubernetes API."""
        if self._client is None:
            from lab.client import Client

            self._client = Client.from_kubeconfig(self._folder.kubeconfig, user_agent="lab-daemon")
        return self._client

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def api_answers(self) -> str:
        """The API server serves its version."""
        try:
            await self.client.request("GET", "/version")
        except LabError as error:
            return str(error)
        return ""

    async def node_is_ready(self) -> str:
        """The node agent has registered its node as ready, and answers at the port that it registered."""
        from lab.resources import NODES

        try:
            nodes = (await self.client.list(NODES))["items"]
        except LabError as error:
            return str(error)
        ready = [address for node in nodes if (address := _kubelet(node))]
        return await self.listens(ready[0])() if ready else "no node is Ready"

    def answers(self, url: str) -> Condition:
        """A GET of ``url`` is answered with 200."""

        async def condition() -> str:
            status, _ = await self._get(url)
            return "" if status == 200 else f"{url} answers {status or 'nothing'}"

        return condition

    def listens(self, address: str) -> Condition:
        """Something accepts connections at ``http://host:port``."""
        host, _, port = address.removeprefix("http://").rpartition(":")

        async def condition() -> str:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError as error:
                return f"{host}:{port}: {error.strerror}"
            writer.close()
            return ""

        return condition

    async def deployments_available(self) -> str:
        """Every deployment has all its replicas available, of the newest revision."""
        from lab.resources import DEPLOYMENTS

        try:
            deployments = (await self.client.list(DEPLOYMENTS))["items"]
        except LabError as error:
            return str(error)
        waiting = [
            f"{item['metadata']['name']} has {item.get('status', {}).get('availableReplicas', 0)} of {wanted} available"
            for item in deployments
            if not _rolled_out(item, wanted := item["spec"].get("replicas", 1))
        ]
        return ", ".join(waiting)

    async def users_are_served(self) -> str:
        """The ingress answers /health through to a pod."""
        return await self.answers(f"{self._plan['ingress']}/health")()

    async def targets_are_scraped(self) -> str:
        """Prometheus has found every annotated pod, and its last scrape of each succeeded."""
        try:
            expected = {pod["metadata"]["name"] for pod in await self._pods() if _wants_scraping(pod)}
        except LabError as error:
            return str(error)
        _, body = await self._get(f"{self._plan['prometheus']}/api/v1/targets?state=active")
        targets = body.get("data", {}).get("activeTargets", [])
        scraped = {target["labels"].get("pod") for target in targets if target["health"] == "up"}
        missing = sorted(expected - scraped)
        return f"Prometheus has not scraped {', '.join(missing)}" if missing else ""

    async def rules_are_evaluated(self) -> str:
        """Prometheus has loaded every rule file of the configuration and evaluated each group once."""
        files = {str(path) for path in (self._folder.config / "rules").glob("*.yml")}
        if not files:
            return ""
        _, body = await self._get(f"{self._plan['prometheus']}/api/v1/rules")
        groups = body.get("data", {}).get("groups", [])
        seen = {group["file"] for group in groups if not group["lastEvaluation"].startswith(NEVER)}
        return f"Prometheus has not evaluated {', '.join(sorted(files - seen))}" if files - seen else ""

    async def alerts_have_somewhere_to_go(self) -> str:
        """Prometheus has discovered Alertmanager, which takes it as long as discovering pods."""
        _, body = await self._get(f"{self._plan['prometheus']}/api/v1/alertmanagers")
        known = [each["url"] for each in body.get("data", {}).get("activeAlertmanagers", [])]
        here = any(url.startswith(self._plan["alertmanager"]) for url in known)
        return "" if here else "Prometheus does not know of Alertmanager"

    async def pods(self) -> list[dict[str, Any]] | None:
        """The pods as ``kubectl get pods`` would tell them, or None when the API does not answer."""
        try:
            async with asyncio.timeout(_REQUEST_S):
                return [_row(pod) for pod in await self._pods()]
        except (LabError, TimeoutError):
            return None

    async def limits(self) -> dict[str, str]:
        """Who holds containers' limits, as the node says it; empty when the API does not answer."""
        from lab.resources import NODES

        try:
            async with asyncio.timeout(_REQUEST_S):
                nodes = (await self.client.list(NODES))["items"]
        except (LabError, TimeoutError):
            return {}
        known = {key: text for node in nodes for key, text in (node["metadata"].get("annotations") or {}).items()}
        return {key.removeprefix("lab/"): text for key, text in known.items() if key.startswith("lab/")}

    async def _pods(self) -> list[dict[str, Any]]:
        from lab.resources import PODS

        pods: list[dict[str, Any]] = (await self.client.list(PODS))["items"]
        return pods

    async def _get(self, url: str) -> tuple[int, dict[str, Any]]:
        """Status (0: no answer) and JSON object (empty: none) of a GET."""
        import aiohttp

        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_REQUEST_S)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        try:
            async with self._session.get(url) as response:
                is_json = response.content_type == "application/json"
                body = await response.json() if is_json else None
                return response.status, body if isinstance(body, dict) else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}


def _kubelet(node: dict[str, Any]) -> str:
    """Where the agent of a ready node listens; "" when the node is not ready."""
    status = node.get("status", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
    hosts = [each["address"] for each in status.get("addresses", ()) if each["type"] == "InternalIP"]
    port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port")
    return f"http://{hosts[0]}:{port}" if ready and hosts and port else ""


def _rolled_out(deployment: dict[str, Any], wanted: int) -> bool:
    status = deployment.get("status", {})
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    counts = (status.get("availableReplicas", 0), status.get("updatedReplicas", 0), status.get("replicas", 0))
    return observed and all(count == wanted for count in counts)


def _wants_scraping(pod: dict[str, Any]) -> bool:
    meta = pod["metadata"]
    return meta.get("annotations", {}).get("prometheus.io/scrape") == "true" and "deletionTimestamp" not in meta


def _row(pod: dict[str, Any]) -> dict[str, Any]:
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    containers = status.get("containerStatuses", [])
    waiting = [each["state"]["waiting"].get("reason", "") for each in containers if "waiting" in each.get("state", {})]
    phase = "Terminating" if "deletionTimestamp" in meta else next(iter(waiting), status.get("phase", "Pending"))
    return {
        "namespace": meta["namespace"],
        "name": meta["name"],
        "status": phase,
        "ready": f"{sum(bool(each.get('ready')) for each in containers)}/{len(spec['containers'])}",
        "restarts": sum(each.get("restartCount", 0) for each in containers),
        "image": spec["containers"][0].get("image", ""),
        "ip": status.get("podIP", ""),
        "ports": [port["containerPort"] for each in spec["containers"] for port in each.get("ports", ())],
    }
