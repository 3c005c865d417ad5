"""Logs are the node agent's: this asks it, as a real API server asks a kubelet."""

from __future__ import annotations

import errno
from typing import Any

import aiohttp
from aiohttp import web

from lab.api import errors
from lab.api.errors import ApiError
from lab.api.selectors import lookup
from lab.api.store import Store, Stored

_PASSED_ON = ("follow", "previous", "tailLines", "timestamps", "sinceSeconds", "sinceTime", "limitBytes")
_CONNECT_S = 5.0


def container_of(pod: Stored, asked: str | None) -> str:
    """The container whose log is meant. Raises 400."""
    name = pod.key[1]
    spec = pod.body.get("spec") or {}
    regular = [one["name"] for one in spec.get("containers") or ()]
    initial = [one["name"] for one in spec.get("initContainers") or ()]
    if asked:
        if asked not in regular + initial:
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(regular) == 1:
        return str(regular[0])
    choices = f"choose one of: [{' '.join(regular)}]"
    if initial:
        choices += f" or one of the init containers: [{' '.join(initial)}]"
    raise errors.bad_request(f"a container name must be specified for pod {name}, {choices}")


def endpoint(store: Store, pod: Stored) -> str:
    """http://ADDRESS:PORT of the agent on the pod's node. Raises 400, 404, 500."""
    node_name = lookup(pod.body, "spec.nodeName")
    if not node_name:
        raise errors.bad_request(f"pod {pod.key[1]} does not have a host assigned")
    node = store.get("nodes", "", node_name)
    if node is None:
        raise errors.not_found("nodes", "", node_name)
    return address(node)


def address(node: Stored) -> str:
    """http://ADDRESS:PORT of a node's agent. Raises 500."""
    port = lookup(node.body, "status.daemonEndpoints.kubeletEndpoint.Port")
    addresses = lookup(node.body, "status.addresses") or ()
    internal = [one["address"] for one in addresses if one.get("type") == "InternalIP"]
    if not internal or not port:
        raise errors.internal(f"no preferred addresses found; known addresses: {[one['address'] for one in addresses]}")
    return f"http://{internal[0]}:{port}"


async def proxy(
    request: web.Request, session: aiohttp.ClientSession, store: Store, pod: Stored, token: str
) -> web.StreamResponse:
    """Answer with the agent's stream. Raises 400, 404, 500."""
    container = container_of(pod, request.query.get("container"))
    namespace, name = pod.key
    url = f"{endpoint(store, pod)}/containerLogs/{namespace}/{name}/{container}"
    query = {key: request.query[key] for key in _PASSED_ON if key in request.query}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with session.get(url, params=query, headers=headers, timeout=timeout) as answer:
            if answer.status != 200:
                raise await _refusal(answer)
            return await _pass_on(request, answer)
    except (aiohttp.ClientConnectorError, TimeoutError) as error:
        raise errors.internal(f'Get "{url}": dial tcp {url.split("/")[2]}: {go_words(error)}') from None
    except aiohttp.ClientError as error:
        raise errors.internal(f'Get "{url}": {error}') from None


def go_words(error: Exception) -> str:
    """A failure to connect in the words of Go's net package."""
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno == errno.ECONNREFUSED:
        return "connect: connection refused"
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    return str(error)


async def _refusal(answer: aiohttp.ClientResponse) -> ApiError:
    """The agent's refusal as a Status: its own when it sends one, else its text."""
    raw: Any = None
    text = (await answer.text()).strip()
    if answer.content_type == "application/json":
        raw = await answer.json()
        text = str(raw.get("message", text)) if isinstance(raw, dict) else text
    reason = {400: "BadRequest", 404: "NotFound", 403: "Forbidden"}.get(answer.status, "")
    return ApiError(answer.status, reason, text or f"the node answered {answer.status}")


async def _pass_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    except (ConnectionError, aiohttp.ClientPayloadError):
        pass  # one of the two left in the middle of the stream; what was read has been sent
    return response
