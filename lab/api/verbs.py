"""What each method does to a collection, an object or a subresource."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
from aiohttp import web

from lab.api import answers, bodies, clock, errors, eviction, execs, listing, logs, scale, watching
from lab.api.deletion import DeleteOptions, delete, delete_options
from lab.api.errors import Cause
from lab.api.objects import Body, Objects, Options
from lab.api.paths import Target
from lab.api.resources import Resource
from lab.api.store import Stored

Operation = Callable[[web.Request, Target], Awaitable[web.StreamResponse]]


class Verbs:
    """The operations of one server. ``token`` is what it shows to node agents."""

    def __init__(self, objects: Objects, token: str) -> None:
        self.objects = objects
        self._token = token
        self._streams: set[asyncio.Task[Any]] = set()
        self._session: aiohttp.ClientSession | None = None
        self.special: dict[tuple[str, str, str], Operation] = {}  # by resource, subresource and method, before all else
        self._of_objects: dict[str, Operation] = {
            "GET": self.get,
            "HEAD": self.get,
            "PUT": self.put,
            "PATCH": self.patch,
            "DELETE": self.delete,
        }
        self._of_subresources: dict[tuple[str, str], Operation] = {
            **{(name, method): self._of_objects[method] for name in ("status", "finalize") for method in _PARTIAL},
            ("scale", "GET"): self.scale,
            ("scale", "PUT"): self.scale,
            ("scale", "PATCH"): self.scale,
            ("log", "GET"): self.log,
            ("exec", "GET"): self.exec,
            ("exec", "POST"): self.exec,
            ("eviction", "POST"): self.evict,
            ("binding", "POST"): self.bind,
        }

    def operation(self, method: str, at: Target) -> Operation:
        """The operation of a method at a path. Raises 405."""
        found = self.special.get((at.row.stored_as, at.subresource, method))
        if found is not None or not {"create", "get"} <= {*at.row.verbs}:
            pass  # what is answered without being stored has no other operations
        elif at.subresource:
            found = self._of_subresources.get((at.subresource, method))
        elif at.name:
            found = self._of_objects.get(method)
        elif method in {"GET", "HEAD"}:
            found = self.list
        elif at.scoped and method == "POST":
            found = self.post
        elif at.scoped and method == "DELETE" and "deletecollection" in at.row.verbs:
            found = self.delete_all
        if found is None:
            raise errors.method_not_allowed()
        return found

    # -- reading

    async def get(self, request: web.Request, at: Target) -> web.StreamResponse:
        """GET of an object."""
        wanted = _wanted(request)
        return answers.one(at.row, self.objects.get(at), wanted)

    async def list(self, request: web.Request, at: Target) -> web.StreamResponse:
        """GET of a collection: a list or a watch."""
        wanted = _wanted(request)
        chosen = listing.selection(at.row, at.namespace, request.query)
        if request.query.get("watch") in {"true", "1", ""}:
            return await self._stream(watching.watch(request, self.objects.store, chosen, wanted))
        items, metadata = await listing.page(self.objects.store, chosen, request.query)
        return answers.many(at.row, items, metadata, wanted)

    # -- writing

    async def post(self, request: web.Request, at: Target) -> web.StreamResponse:
        """POST to a collection."""
        wanted = _wanted(request)
        written = self.objects.create(at, await _object(request, at.row.kind), _options(request))
        return answers.one(at.row, written.stored, wanted, code=201, warnings=written.warnings)

    async def put(self, request: web.Request, at: Target) -> web.StreamResponse:
        """PUT of an object or its status."""
        wanted = _wanted(request)
        written = self.objects.update(at, await _object(request, at.row.kind), _options(request))
        return answers.one(at.row, written.stored, wanted, warnings=written.warnings)

    async def patch(self, request: web.Request, at: Target) -> web.StreamResponse:
        """PATCH of an object or its status."""
        wanted = _wanted(request)
        media, sent = await _patch_body(request)
        written = self.objects.patch(at, media, sent, _options(request))
        code = 201 if written.created else 200
        return answers.one(at.row, written.stored, wanted, code=code, warnings=written.warnings)

    async def delete(self, request: web.Request, at: Target) -> web.StreamResponse:
        """DELETE of an object: the object while it lingers, a Status when it is gone (but for kinds that return it)."""
        options = await _delete_options(request)
        stored = self.objects.get(at)
        last, gone = delete(self.objects, at.row, stored, options)
        if gone and not at.row.returns_deleted:
            return answers.respond(_deleted(at.row, stored))
        return answers.one(at.row, last, _wanted(request))

    async def delete_all(self, request: web.Request, at: Target) -> web.StreamResponse:
        """DELETE of a collection."""
        options = await _delete_options(request)
        chosen = listing.selection(at.row, at.namespace, request.query)
        items, metadata = await listing.page(self.objects.store, chosen, request.query)
        for item in items:
            delete(self.objects, at.row, item, options)
        return answers.many(at.row, items, metadata, _wanted(request))

    # -- subresources that are not parts of the object

    async def scale(self, request: web.Request, at: Target) -> web.StreamResponse:
        """A workload's Scale."""
        form, stored = _wanted(request).form, self.objects.get(at)
        if request.method == "PUT":
            sent = await _object(request, "Scale")
            stored = scale.write(self.objects, at.row, stored, sent, _options(request)).stored
        elif request.method == "PATCH":
            media, patch = await _patch_body(request)
            sent = scale.patched_scale(at.row, stored, media, patch)
            stored = scale.write(self.objects, at.row, stored, sent, _options(request)).stored
        return answers.respond(scale.read(at.row, stored), form=form)

    async def log(self, request: web.Request, at: Target) -> web.StreamResponse:
        """A container's log, from its node."""
        pod = self.objects.get(at)
        return await self._stream(logs.proxy(request, self.to_nodes(), self.objects.store, pod, self._token))

    async def exec(self, request: web.Request, at: Target) -> web.StreamResponse:
        """A command in a container, run by its node."""
        pod = self.objects.get(at)
        return await self._stream(execs.proxy(request, self.to_nodes(), self.objects.store, pod, self._token))

    def to_nodes(self) -> aiohttp.ClientSession:
        """The session for node agents."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def evict(self, request: web.Request, at: Target) -> web.StreamResponse:
        """POST of an Eviction: a delete that asks politely."""
        sent = await _object(request, "Eviction")
        eviction.evict(self.objects, at.row, self.objects.get(at), sent)
        return answers.respond(_CREATED, code=201)

    async def bind(self, request: web.Request, at: Target) -> web.StreamResponse:
        """POST of a Binding: a scheduler's decision."""
        sent, pod = await _object(request, "Binding"), self.objects.get(at)
        node, held = (sent.get("target") or {}).get("name"), (pod.body.get("spec") or {}).get("nodeName")
        if not node:
            raise errors.invalid("Binding", "", at.name, [Cause("target.name", "FieldValueRequired", "Required value")])
        if held:
            why = f'pod {at.name} is already assigned to node "{held}"'
            raise errors.conflict("pods/binding", "", at.name, why)
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": clock.stamp(clock.now()),
        }

        def edit(body: Body) -> None:
            body["spec"]["nodeName"] = node
            status = body.setdefault("status", {})
            others = [one for one in status.get("conditions") or () if one.get("type") != "PodScheduled"]
            status["conditions"] = [*others, scheduled]

        self.objects.change(at.row, pod, edit)
        return answers.respond(_CREATED, code=201)

    # -- streams

    async def _stream(self, work: Coroutine[Any, Any, web.StreamResponse]) -> web.StreamResponse:
        """Run an answer that may last, as a task that the end of the server cancels."""
        task = asyncio.ensure_future(work)
        self._streams.add(task)
        try:
            return await task
        finally:
            self._streams.discard(task)

    def end_streams(self) -> None:
        """Cut off watches and logs that are followed."""
        for stream in list(self._streams):
            stream.cancel()

    async def close(self) -> None:
        """Close connections to node agents."""
        if self._session is not None:
            await self._session.close()


_PARTIAL = ("GET", "PUT", "PATCH")
_CREATED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _wanted(request: web.Request) -> answers.Wanted:
    return answers.negotiate(request.headers.get("Accept"), request.query.get("includeObject", "Metadata"))


def _deleted(row: Resource, stored: Stored) -> dict[str, Any]:
    details = {"name": stored.key[1], "group": row.group, "kind": row.plural, "uid": stored.metadata.get("uid")}
    details = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _options(request: web.Request) -> Options:
    query = request.query
    dry_run = query.get("dryRun")
    if dry_run not in {None, "", "All"}:
        why = f'Unsupported value: "{dry_run}": supported values: "All"'
        raise errors.invalid("CreateOptions", "meta.k8s.io", "", [Cause("dryRun", "FieldValueNotSupported", why)])
    return Options(
        dry_run == "All",
        query.get("fieldValidation") or "Warn",
        query.get("fieldManager") or "",
        agent=request.headers.get("User-Agent", "").partition("/")[0] or "unknown",
        force=query.get("force") in {"true", "1"},
    )


async def _object(request: web.Request, kind: str) -> Body:
    return bodies.decode_object(await request.read(), request.headers.get("Content-Type"), kind)


async def _patch_body(request: web.Request) -> tuple[str, Any]:
    """The media type of a patch and its content. Raises 415, 400."""
    media = bodies.media_type(request.headers.get("Content-Type"))
    if media == "application/apply-patch+yaml":
        return media, bodies.decode(await request.read(), "application/yaml", "Patch")
    if not media.endswith("-patch+json"):
        raise errors.unsupported_media_type()
    return media, bodies.decode_patch(await request.read())


async def _delete_options(request: web.Request) -> DeleteOptions:
    return delete_options(await _object(request, "DeleteOptions"), dict(request.query))
