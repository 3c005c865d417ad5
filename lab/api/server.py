"""The HTTP face: who may ask, which paths are not resources, and errors as Status."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

from aiohttp import web

from lab.api import answers, discovery, errors, openapi
from lab.api.auth.handlers import Auth
from lab.api.auth.tokens import Tokens
from lab.api.auth.users import REQUESTER
from lab.api.custom.definitions import Definitions
from lab.api.errors import ApiError
from lab.api.metrics import Metrics
from lab.api.namespaces import NamespaceReaper, create_initial
from lab.api.objects import Objects
from lab.api.paths import target
from lab.api.quota import QuotaAdmission
from lab.api.resources import Registry
from lab.api.store import Store
from lab.api.verbs import Verbs

log = logging.getLogger(__name__)
BODY_LIMIT = 3 * 1024 * 1024
_HEALTH = {"/healthz", "/livez", "/readyz"}


class Api:
    """One API server over one store."""

    def __init__(
        self, store: Store, token: str, registry: Registry | None = None, tokens: Tokens | None = None
    ) -> None:
        self.registry = registry or Registry()
        self.objects = Objects(store, self.registry)
        self._verbs = Verbs(self.objects, token)
        self._auth = Auth(self.objects, token, tokens or Tokens())
        self._verbs.special.update(self._auth.operations())
        self._verbs.special.update(Metrics(self.objects, self._verbs.to_nodes, token).operations())
        self._documents: dict[str, bytes] = {}
        self._documented = -1
        self._definitions = Definitions(self.objects)
        self.objects.admission.append(QuotaAdmission(store))
        self._reaper = NamespaceReaper(self.objects)

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._answer)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._end_streams)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, _app: web.Application) -> None:
        create_initial(self.objects)
        self._auth.start()
        self._definitions.start()
        self._reaper.start()

    async def _end_streams(self, _app: web.Application) -> None:
        self._verbs.end_streams()

    async def _stop(self, _app: web.Application) -> None:
        await self._reaper.stop()
        await self._definitions.stop()
        await self._verbs.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            REQUESTER.set(self._auth.gate.admit(request))
            return await self._route(request)
        except ApiError as error:
            return answers.failure(error)
        except web.HTTPRequestEntityTooLarge:
            limit = f"Request entity too large: limit is {BODY_LIMIT}"
            return answers.failure(ApiError(413, "RequestEntityTooLarge", limit))
        except Exception as error:  # a mistake of ours: a Status, as clients expect, and its trace in the log
            log.exception("%s %s", request.method, request.path_qs)
            why = f"Internal error occurred: {type(error).__name__}: {error}"
            return answers.failure(ApiError(500, "InternalError", why))

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        fixed = self._fixed(path, request)
        if fixed is not None:
            if request.method not in {"GET", "HEAD"}:
                raise errors.method_not_allowed()
            return fixed
        if not path.startswith(("/api/", "/apis/")):
            raise errors.page_not_found()
        at = target(self.registry, path)
        return await self._verbs.operation(request.method, at)(request, at)

    def _fixed(self, path: str, request: web.Request) -> web.Response | None:
        """The answer of a path that is not a resource, or None."""
        if path in _HEALTH:
            verbose = "verbose" in request.query
            return answers.text(f"[+]ping ok\n[+]store ok\n{path[1:]} check passed\n" if verbose else "ok")
        if path == "/version":
            return answers.respond(discovery.VERSION)
        if path == "/api":
            return answers.respond(discovery.api_versions(request.host))
        if path == "/apis":
            return answers.respond(discovery.group_list(self.registry))
        if path == "/openapi/v2":
            return web.Response(body=openapi.VERSION_2, content_type=openapi.VERSION_2_MEDIA)
        if path.startswith("/openapi/v3"):
            return self._openapi(path.removeprefix("/openapi/v3").strip("/"))
        parts = path.strip("/").split("/")
        if (parts[0], len(parts)) == ("apis", 2):
            return _found(discovery.group(self.registry, parts[1]))
        if (parts[0], len(parts)) in {("api", 2), ("apis", 3)}:
            group = parts[1] if parts[0] == "apis" else ""
            return _found(discovery.resource_list(self.registry, group, parts[-1]))
        return None

    def _openapi(self, key: str) -> web.Response:
        if self._documented != self.registry.changes:
            self._documented = self.registry.changes
            self._documents = openapi.documents(self.registry)
        if not key:
            response = answers.respond(openapi.index(self._documents))
            response.headers["Content-Type"] = "text/plain; charset=utf-8"
            return response
        if key not in self._documents:
            raise errors.page_not_found()
        response = answers.respond(self._documents[key])
        response.headers["Cache-Control"] = "public, immutable"  # its address carries its hash
        return response


def _found(body: dict[str, Any] | None) -> web.Response:
    if body is None:
        raise errors.page_not_found()
    return answers.respond(body)


def tls(state: Path) -> ssl.SSLContext:
    """The server's TLS context. Raises OSError when its files are not there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(state / "pki" / "api.crt", state / "pki" / "api.key")
    return context
