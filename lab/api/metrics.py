"""``metrics.k8s.io``: what nodes and pods use now, asked of the node agents when a client asks. Nothing is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from lab.api import answers, clock, errors, listing
from lab.api.columns import NAME, Column, of
from lab.api.errors import ApiError
from lab.api.logs import address
from lab.api.objects import Objects
from lab.api.paths import Target
from lab.api.resources import Resource
from lab.api.selectors import lookup
from lab.api.store import Stored

Body = dict[str, Any]
Operation = Callable[[web.Request, Target], Awaitable[web.StreamResponse]]
GROUP = "metrics.k8s.io"
WINDOW = "1s"  # the agents tell CPU as the rate of about the last second
_PATIENCE_S = 2.0


def _total(name: str) -> Callable[[Body], str]:
    def cell(body: Body) -> str:
        usage: str = lookup(body, f"usage.{name}") or ""
        return usage or " ".join(one["usage"][name] for one in body.get("containers") or ())

    return cell


_COLUMNS = (
    NAME,
    Column("cpu", of(_total("cpu"))),
    Column("memory", of(_total("memory"))),
    Column("window", of(lambda body: str(body["window"]))),
)
ROWS = [
    Resource(GROUP, "v1beta1", "nodes", "NodeMetrics", "", namespaced=False, verbs=("get", "list"), columns=_COLUMNS),
    Resource(GROUP, "v1beta1", "pods", "PodMetrics", "", verbs=("get", "list"), columns=_COLUMNS),
]


class Metrics:
    """The operations of the group. ``session`` is for node agents, ``token`` what it shows to them."""

    def __init__(self, objects: Objects, session: Callable[[], aiohttp.ClientSession], token: str) -> None:
        self._objects = objects
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}
        objects.registry.serve(GROUP, ROWS)

    def operations(self) -> dict[tuple[str, str, str], Operation]:
        """By resource, subresource and method."""
        return {(row.stored_as, "", method): self._read for row in ROWS for method in ("GET", "HEAD")}

    async def _read(self, request: web.Request, at: Target) -> web.StreamResponse:
        """One object or a list. Raises 404, and 503 when an agent does not answer."""
        if request.query.get("watch") in {"true", "1"}:
            raise errors.method_not_allowed()
        wanted = answers.negotiate(request.headers.get("Accept"), request.query.get("includeObject", "Metadata"))
        chosen = listing.selection(at.row, at.namespace, request.query)
        summaries = await asyncio.gather(*(self._summary(node) for node in self._objects.store.list("nodes")))
        found = self._nodes(summaries) if at.row.plural == "nodes" else self._pods(summaries)
        if at.name:
            for one in found:
                if one.key == (at.namespace, at.name):
                    return answers.one(at.row, one, wanted)
            name = f"{at.namespace}/{at.name}" if at.namespace else at.name
            raise errors.not_found(at.row.kind.lower(), GROUP, name)
        held = sorted((one for one in found if chosen.holds(one)), key=lambda one: one.key)
        return answers.many(at.row, held, {}, wanted)

    async def _summary(self, node: Stored) -> Body:
        """A node agent's /stats/summary. Raises 503."""
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        try:
            url = f"{address(node)}/stats/summary"
            async with self._session().get(url, headers=self._headers, timeout=timeout) as answer:
                content = json.loads(await answer.read()) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError, ApiError):
            content = None
        if not isinstance(content, dict):
            raise ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request")
        return content

    def _nodes(self, summaries: list[Body]) -> list[Stored]:
        found = []
        for summary in summaries:
            stats = summary.get("node") or {}
            home, usage = self._objects.store.get("nodes", "", stats.get("nodeName", "")), _usage(stats)
            if home is not None and usage:
                found.append(_object(home, {"usage": usage}))
        return found

    def _pods(self, summaries: list[Body]) -> list[Stored]:
        found = []
        for stats in (pod for summary in summaries for pod in summary.get("pods") or ()):
            reference = stats.get("podRef") or {}
            pod = self._objects.store.get("pods", reference.get("namespace", ""), reference.get("name", ""))
            if pod is None or pod.metadata["uid"] != reference.get("uid"):
                continue
            containers = [{"name": one["name"], "usage": _usage(one)} for one in stats.get("containers") or ()]
            if containers and all(one["usage"] for one in containers):
                found.append(_object(pod, {"containers": containers}))
        return found


def _object(about: Stored, usage: Body) -> Stored:
    """The metrics of a node or pod carry its name and labels, so that selectors mean the same."""
    now = clock.stamp(clock.now())
    metadata: Body = {key: about.metadata[key] for key in ("name", "namespace", "labels") if key in about.metadata}
    metadata["creationTimestamp"] = now
    return Stored(about.key, {"metadata": metadata, "timestamp": now, "window": WINDOW, **usage}, about.revision)


def _usage(stats: Body) -> dict[str, str]:
    """CPU in nanocores and memory in Ki, as metrics-server writes them; empty when the agent knows neither."""
    cores, memory = lookup(stats, "cpu.usageNanoCores"), lookup(stats, "memory.workingSetBytes")
    if cores is None or memory is None:
        return {}
    return {"cpu": f"{int(cores)}n" if cores else "0", "memory": f"{int(memory) // 1024}Ki"}
