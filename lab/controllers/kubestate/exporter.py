"""Serves the metrics page from the informers that the controllers have anyway."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lab.controllers.kubestate import cluster, pods, workloads
from lab.controllers.kubestate.samples import Sample, line
from lab.controllers.work import Informers
from lab.errors import LabError
from lab.informer import Informer
from lab.objects import key_of
from lab.resources import (
    DEPLOYMENTS,
    DISRUPTIONBUDGETS,
    HORIZONTALPODAUTOSCALERS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    RESOURCEQUOTAS,
    Object,
    Resource,
)

if TYPE_CHECKING:
    from aiohttp import web

_Families = dict[str, tuple[str, str]]  # name: (type, help)
_KINDS: tuple[tuple[Resource, _Families, Callable[[Object], Iterator[Sample]]], ...] = (
    (PODS, pods.FAMILIES, pods.samples),
    (DEPLOYMENTS, workloads.DEPLOYMENT_FAMILIES, workloads.deployment),
    (REPLICASETS, workloads.REPLICASET_FAMILIES, workloads.replicaset),
    (HORIZONTALPODAUTOSCALERS, workloads.HPA_FAMILIES, workloads.autoscaler),
    (DISRUPTIONBUDGETS, workloads.BUDGET_FAMILIES, workloads.budget),
    (NODES, cluster.NODE_FAMILIES, cluster.node),
    (NAMESPACES, cluster.NAMESPACE_FAMILIES, cluster.namespace),
    (RESOURCEQUOTAS, cluster.QUOTA_FAMILIES, cluster.quota),
)
_log = logging.getLogger(__name__)
_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class _Kind:
    """The rendered lines of one kind's objects; each object is rendered once for each change of it."""

    def __init__(self, informer: Informer, families: _Families, samples: Callable[[Object], Iterator[Sample]]) -> None:
        self.informer = informer
        self._families = families
        self._samples = samples
        self._lines: dict[str, dict[str, str]] = {}
        self._page: bytes | None = None
        informer.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        self._lines.pop(key_of(new or old or {}), None)
        self._page = None

    def page(self) -> bytes:
        """All lines, family by family, as the text format wants them."""
        if self._page is None:
            rendered = [self._lines_of(item) for item in self.informer.items()]
            parts = []
            for name, (kind, text) in self._families.items():
                parts.append(f"# HELP {name} {text}\n# TYPE {name} {kind}\n")
                parts += [lines[name] for lines in rendered if name in lines]
            self._page = "".join(parts).encode()
        return self._page

    def _lines_of(self, item: Object) -> dict[str, str]:
        key = key_of(item)
        if key not in self._lines:
            self._lines[key] = self._render(item)
        return self._lines[key]

    def _render(self, item: Object) -> dict[str, str]:
        lines: dict[str, str] = {}
        try:
            for family, labels, value in self._samples(item):
                lines[family] = lines.get(family, "") + line(family, labels, value)
        except (KeyError, TypeError, ValueError, AttributeError):  # one odd object must not cost us all others
            _log.exception("%s %s cannot be told in full", self.informer.resource.plural, key_of(item))
        return lines


class Exporter:
    """``GET /metrics`` on a loopback port; 503 until the first lists are in, for half a page would read as an end."""

    name = "kube-state-metrics"

    def __init__(self, informers: Informers, port: int) -> None:
        self._kinds = [_Kind(informers.of(resource), families, samples) for resource, families, samples in _KINDS]
        self._port = port

    def page(self) -> bytes:
        """The whole page."""
        return b"".join(kind.page() for kind in self._kinds)

    async def start(self) -> None:
        """Listen. Raises :class:`LabError` when the port is taken."""
        from aiohttp import web

        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except OSError as error:
            await runner.cleanup()
            why = os.strerror(error.errno) if error.errno else str(error)
            raise LabError(f"kube-state-metrics cannot listen on 127.0.0.1:{self._port}: {why}") from None
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        from aiohttp import web

        if not all(kind.informer.synced.is_set() for kind in self._kinds if kind.informer.resource in _ESSENTIAL):
            return web.Response(status=503, text="not in step with the API yet\n")
        return web.Response(body=self.page(), headers={"Content-Type": _FORMAT})


_ESSENTIAL = {PODS, DEPLOYMENTS, REPLICASETS, NODES}
