"""A Kubernetes API client on aiohttp for whatever in the lab is "an ordinary client of that API".

It works on plain dictionaries, as the API does, and against any Kubernetes API server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from lab.access import Access, load
from lab.errors import ApiError
from lab.resources import Object, Resource

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Client:
    """An asynchronous session: ``async with Client.from_kubeconfig(path) as client``.

    Every method raises :class:`ApiError`: with the server's status, reason and message when it refused, with
    status 0 and reason ``Unreachable`` when nobody answered within ``timeout_s``.
    """

    def __init__(self, access: Access, *, timeout_s: float = 10.0, user_agent: str = "muster-lab") -> None:
        self.access = access
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path | str, context: str | None = None, *, user_agent: str = "muster-lab") -> Self:
        """A client for the current (or named) context. Raises :class:`lab.errors.LabError` on a bad kubeconfig."""
        return cls(load(path, context), user_agent=user_agent)

    @property
    def server(self) -> str:
        """The address this client talks to."""
        return self.access.server

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object."""
        return await self.request("GET", resource.path(namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Object:
        """The whole list, page by page, with ``metadata.resourceVersion`` to watch from."""
        params = {"limit": str(page_size)} | _selectors(label_selector, field_selector)
        whole = await self.request("GET", resource.path(namespace), params=params)
        items = whole.setdefault("items", [])
        token = whole["metadata"].get("continue")
        while token:
            page = await self.request("GET", resource.path(namespace), params=params | {"continue": token})
            items += page["items"]
            token = page["metadata"].get("continue")
        for item in items:  # items of a JSON list carry neither
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        return whole

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create the object in its own ``metadata.namespace``."""
        return await self.request("POST", resource.path(body["metadata"].get("namespace")), body=body)

    async def update(self, resource: Resource, body: Object, *, subresource: str | None = None) -> Object:
        """Replace the object; a stale ``resourceVersion`` ends in a conflict."""
        meta = body["metadata"]
        return await self.request("PUT", resource.path(meta.get("namespace"), meta["name"], subresource), body=body)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Any,
        *,
        kind: str = MERGE,
        subresource: str | None = None,
    ) -> Object:
        """Patch the object with one of MERGE, STRATEGIC, JSON_PATCH."""
        return await self.request("PATCH", resource.path(namespace, name, subresource), body=body, content_type=kind)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        grace_s: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
    ) -> Object:
        """Delete the object; ``uid`` guards against deleting its successor of the same name."""
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        if propagation:
            body["propagationPolicy"] = propagation
        if uid:
            body["preconditions"] = {"uid": uid}
        return await self.request("DELETE", resource.path(namespace, name), body=body)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: int = 300,
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield ``(type, object)`` (ADDED, MODIFIED, DELETED, BOOKMARK) until the server ends the stream.

        An ERROR event, such as 410 Expired, is raised as :class:`ApiError`.
        """
        params = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(timeout_s)}
        params |= _selectors(label_selector, field_selector)
        if resource_version:
            params["resourceVersion"] = resource_version
        timeout = aiohttp.ClientTimeout(total=timeout_s + 30, sock_connect=self._timeout.total)
        try:
            async with self._http().get(
                self.server + resource.path(namespace), params=params, headers=self._headers(), timeout=timeout
            ) as response:
                if response.status != 200:
                    raise _refusal(response.status, await response.read())
                try:
                    async for line in _lines(response):
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            raise _status(event["object"])
                        yield event["type"], event["object"]
                except (asyncio.CancelledError, GeneratorExit):
                    _cut(response)
                    raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _unreachable(self.server, error) from error

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        """One exchange on any path of the API, for what the methods above do not cover."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = self._headers() | ({} if data is None else {"Content-Type": content_type})
        try:
            async with self._http().request(
                method, self.server + path, params=params, data=data, headers=headers
            ) as response:
                content = await response.read()
                if response.status >= 400:
                    raise _refusal(response.status, content)
                return dict(json.loads(content))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _unreachable(self.server, error) from error

    def _headers(self) -> dict[str, str]:
        token = self.access.token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No limit: each informer holds one connection for its watch.
            connector = aiohttp.TCPConnector(ssl=self.access.tls or True, limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                headers={"Accept": "application/json", "User-Agent": self._user_agent},
            )
        return self._session

    async def close(self) -> None:
        """Close all connections; the client opens new ones when it is used again."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
            await asyncio.sleep(0)  # lets TLS transports finish closing

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    both = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in both.items() if value}


def _cut(response: aiohttp.ClientResponse) -> None:
    """End a stream that nobody reads any more now, not after a goodbye that the event loop may not live to hear."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length: aiohttp's own readline refuses objects over 64 KiB."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line


def _refusal(status: int, content: bytes) -> ApiError:
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if isinstance(body, dict) and body.get("kind") == "Status":
        return _status({"code": status} | body)
    reason = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}.get(status, "Unknown")
    return ApiError(status, reason, content.decode(errors="replace").strip()[:500])


def _status(body: Object) -> ApiError:
    return ApiError(int(body.get("code", 500)), str(body.get("reason", "")), str(body.get("message", "")))


def _unreachable(server: str, error: Exception) -> ApiError:
    return ApiError(0, "Unreachable", f"the API server {server} did not answer: {error or type(error).__name__}")
