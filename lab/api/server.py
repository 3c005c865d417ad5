"""The HTTP face: paths to rows, verbs to operations, errors to Status."""

from __future__ import annotations

import asyncio
import hmac
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from lab.api import answers, bodies, discovery, errors, listing, logs, openapi, scale, watching
from lab.api.deletion import DeleteOptions, delete, delete_options
from lab.api.errors import ApiError
from lab.api.namespaces import NamespaceReaper, create_initial
from lab.api.objects import Body, Objects, Options
from lab.api.resources import Registry, Resource
from lab.api.store import Store, Stored

log = logging.getLogger(__name__)
BODY_LIMIT = 3 * 1024 * 1024
_OPEN = {"/healthz", "/livez", "/readyz", "/version"}


@dataclass(frozen=True)
class Target:
    """What a path names: a collection, an object (``name``), or a subresource of one."""

    row: Resource
    namespace: str
    name: str
    subresource: str


def target(registry: Registry, path: str) -> Target:
    """Parse a resource path. Raises 404."""
    parts = [part for part in path.split("/") if part]
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise errors.page_not_found()
    if not registry.of_group(group, version):
        raise errors.page_not_found()
    namespace = ""
    own = rest[0] == "namespaces" and (len(rest) < 3 or (len(rest) == 3 and rest[2] in {"status", "finalize"}))
    if rest[0] == "namespaces" and not own:
        namespace, rest = rest[1], rest[2:]
    row = registry.find(group, version, rest[0])
    name, subresource = (rest[1:] + ["", ""])[:2]
    if row is None or len(rest) > 3 or (namespace and not row.namespaced):
        raise errors.resource_not_found()
    if subresource and subresource not in row.subresources:
        raise errors.resource_not_found()
    if name and row.namespaced and not namespace:
        raise errors.resource_not_found()
    return Target(row, namespace, name, subresource)


class Api:
    """One API server over one store."""

    def __init__(self, store: Store, token: str, registry: Registry | None = None) -> None:
        self.store = store
        self.registry = registry or Registry()
        self.objects = Objects(store, self.registry)
        self._token = token
        self._documents: dict[str, bytes] = {}
        self._reaper = NamespaceReaper(self.objects)
        self._streams: set[asyncio.Task[Any]] = set()
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._answer)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._end_streams)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, app: web.Application) -> None:
        create_initial(self.objects)
        self._reaper.start()
        self._session = aiohttp.ClientSession()

    async def _end_streams(self, app: web.Application) -> None:
        for stream in list(self._streams):
            stream.cancel()

    async def _stop(self, app: web.Application) -> None:
        await self._reaper.stop()
        if self._session is not None:
            await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            self._authenticate(request)
            return await self._route(request)
        except ApiError as error:
            return answers.failure(error)
        except web.HTTPRequestEntityTooLarge:
            limit = f"Request entity too large: limit is {BODY_LIMIT}"
            return answers.failure(ApiError(413, "RequestEntityTooLarge", limit))

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization")
        if given is None and request.path in _OPEN:
            return
        scheme, _, token = (given or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            raise errors.unauthorized()

    # -- paths that are not resources

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        fixed = self._fixed(path, request)
        if fixed is not None:
            if request.method not in {"GET", "HEAD"}:
                raise errors.method_not_allowed()
            return fixed
        if not path.startswith(("/api/", "/apis/")):
            raise errors.page_not_found()
        return await self._resource(request, target(self.registry, path))

    def _fixed(self, path: str, request: web.Request) -> web.Response | None:
        if path in {"/healthz", "/livez", "/readyz"}:
            verbose = "verbose" in request.query
            return answers.text(f"[+]ping ok\n[+]store ok\n{path[1:]} check passed\n" if verbose else "ok")
        if path == "/version":
            return answers.respond(discovery.VERSION)
        if path == "/api":
            return answers.respond(discovery.api_versions(request.host))
        if path == "/apis":
            return answers.respond(discovery.group_list(self.registry))
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
        if not self._documents:
            self._documents = openapi.documents(self.registry)
        if not key:
            response = answers.respond(openapi.index(self._documents))
            response.headers["Content-Type"] = "text/plain; charset=utf-8"
            return response
        if key not in self._documents:
            raise errors.page_not_found()
        response = answers.respond(self._documents[key])
        response.headers["Cache-Control"] = "public, immutable"
        return response

    # -- resources

    async def _resource(self, request: web.Request, at: Target) -> web.StreamResponse:
        if at.subresource:
            return await self._subresource(request, at)
        if at.name:
            operation = {
                "GET": self._get,
                "HEAD": self._get,
                "PUT": self._put,
                "PATCH": self._patch,
                "DELETE": self._delete,
            }.get(request.method)
        else:
            scoped = not at.row.namespaced or at.namespace
            operation = {
                "GET": self._list,
                "HEAD": self._list,
                "POST": self._post if scoped else None,
                "DELETE": self._delete_all if scoped and "deletecollection" in at.row.verbs else None,
            }.get(request.method)
        if operation is None:
            raise errors.method_not_allowed()
        return await operation(request, at)

    def _wanted(self, request: web.Request) -> answers.Wanted:
        return answers.negotiate(request.headers.get("Accept"), request.query.get("includeObject", "Metadata"))

    async def _get(self, request: web.Request, at: Target) -> web.StreamResponse:
        wanted = self._wanted(request)
        return answers.one(at.row, self.objects.get(at.row, at.namespace, at.name), wanted)

    async def _list(self, request: web.Request, at: Target) -> web.StreamResponse:
        wanted = self._wanted(request)
        chosen = listing.selection(at.row, at.namespace, request.query)
        if request.query.get("watch") in {"true", "1", ""}:
            return await self._stream(watching.watch(request, self.store, chosen, wanted))
        items, metadata = await listing.page(self.store, chosen, request.query)
        return answers.many(at.row, items, metadata, wanted)

    async def _stream(self, work: Any) -> web.StreamResponse:
        """Run an answer that may last, so that a stop of the server ends it."""
        task = asyncio.current_task()
        if task is not None:
            self._streams.add(task)
        try:
            response: web.StreamResponse = await work
            return response
        finally:
            self._streams.discard(task)  # type: ignore[arg-type]

    async def _post(self, request: web.Request, at: Target) -> web.StreamResponse:
        wanted = self._wanted(request)
        sent = await _object(request, at.row.kind)
        written = self.objects.create(at.row, at.namespace, sent, _options(request))
        return answers.one(at.row, written.stored, wanted, code=201, warnings=written.warnings)

    async def _put(self, request: web.Request, at: Target) -> web.StreamResponse:
        wanted = self._wanted(request)
        sent = await _object(request, at.row.kind)
        written = self.objects.update(at.row, at.namespace, at.name, sent, _options(request), at.subresource)
        return answers.one(at.row, written.stored, wanted, warnings=written.warnings)

    async def _patch(self, request: web.Request, at: Target) -> web.StreamResponse:
        wanted = self._wanted(request)
        media, sent = await _patch_body(request)
        written = self.objects.patch(at.row, at.namespace, at.name, media, sent, _options(request), at.subresource)
        code = 201 if written.created else 200
        return answers.one(at.row, written.stored, wanted, code=code, warnings=written.warnings)

    async def _delete(self, request: web.Request, at: Target) -> web.StreamResponse:
        options = await _delete_options(request)
        stored = self.objects.get(at.row, at.namespace, at.name)
        last, gone = delete(self.objects, at.row, stored, options)
        if gone and not at.row.returns_deleted:
            return answers.respond(_deleted(at.row, stored))
        return answers.one(at.row, last, self._wanted(request))

    async def _delete_all(self, request: web.Request, at: Target) -> web.StreamResponse:
        options = await _delete_options(request)
        chosen = listing.selection(at.row, at.namespace, request.query)
        items, metadata = await listing.page(self.store, chosen, request.query)
        for item in items:
            delete(self.objects, at.row, item, options)
        return answers.many(at.row, items, metadata, self._wanted(request))

    # -- subresources

    async def _subresource(self, request: web.Request, at: Target) -> web.StreamResponse:
        verb = (at.subresource, request.method)
        if at.subresource in {"status", "finalize"} and request.method in {"GET", "PUT", "PATCH"}:
            operation = {"GET": self._get, "PUT": self._put, "PATCH": self._patch}[request.method]
            return await operation(request, at)
        stored = self.objects.get(at.row, at.namespace, at.name)
        if verb == ("scale", "GET"):
            return answers.respond(scale.read(stored), form=self._wanted(request).form)
        if verb == ("scale", "PUT"):
            sent = await _object(request, "Scale")
            return answers.respond(
                scale.read(scale.write(self.objects, at.row, stored, sent, _options(request)).stored)
            )
        if verb == ("scale", "PATCH"):
            media, sent = await _patch_body(request)
            written = scale.patch(self.objects, at.row, stored, media, sent, _options(request))
            return answers.respond(scale.read(written.stored))
        if verb == ("log", "GET"):
            return await self._log(request, stored)
        if verb == ("eviction", "POST"):
            return await self._evict(request, at, stored)
        if verb == ("binding", "POST"):
            return await self._bind(request, at, stored)
        raise errors.method_not_allowed()

    async def _log(self, request: web.Request, pod: Stored) -> web.StreamResponse:
        if self._session is None:
            raise errors.internal("the server is not started")
        return await self._stream(logs.proxy(request, self._session, self.store, pod, self._token))

    async def _evict(self, request: web.Request, at: Target, pod: Stored) -> web.StreamResponse:
        sent = await _object(request, "Eviction")
        delete(self.objects, at.row, pod, delete_options(sent.get("deleteOptions") or {}, {}))
        return answers.respond(_success(), code=201)

    async def _bind(self, request: web.Request, at: Target, pod: Stored) -> web.StreamResponse:
        sent = await _object(request, "Binding")
        node = (sent.get("target") or {}).get("name")
        if not node:
            raise errors.bad_request("target.name: Required value")
        if (pod.body.get("spec") or {}).get("nodeName"):
            why = f'pod {at.name} is already assigned to node "{pod.body["spec"]["nodeName"]}"'
            raise errors.conflict("pods/binding", "", at.name, why)
        self.objects.change(at.row, pod, lambda body: body["spec"].update(nodeName=node))
        return answers.respond(_success(), code=201)


def _found(body: dict[str, Any] | None) -> web.Response:
    if body is None:
        raise errors.page_not_found()
    return answers.respond(body)


def _success() -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _deleted(row: Resource, stored: Stored) -> dict[str, Any]:
    details = {"name": stored.key[1], "group": row.group, "kind": row.plural, "uid": stored.metadata.get("uid")}
    details = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _options(request: web.Request) -> Options:
    query = request.query
    dry_run = query.get("dryRun")
    if dry_run not in {None, "", "All"}:
        why = f'Unsupported value: "{dry_run}": supported values: "All"'
        cause = errors.Cause("dryRun", "FieldValueNotSupported", why)
        raise errors.invalid("CreateOptions", "meta.k8s.io", "", [cause])
    return Options(dry_run == "All", query.get("fieldValidation") or "Warn", query.get("fieldManager") or "")


async def _object(request: web.Request, kind: str) -> Body:
    return bodies.decode_object(await request.read(), request.headers.get("Content-Type"), kind)


async def _patch_body(request: web.Request) -> tuple[str, Any]:
    """The media type of a patch and its content. Raises 415, 400."""
    media = bodies.media_type(request.headers.get("Content-Type"))
    if media == "application/apply-patch+yaml":
        return media, bodies.decode(await request.read(), "application/yaml", "Patch")
    if not media.endswith("-patch+json"):
        raise errors.unsupported_media_type()
    return media, bodies.decode(await request.read(), "application/json", "Patch")


async def _delete_options(request: web.Request) -> DeleteOptions:
    return delete_options(await _object(request, "DeleteOptions"), dict(request.query))


def tls(state: Path) -> Any:
    """The server's TLS context."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(state / "pki" / "api.crt", state / "pki" / "api.key")
    return context
