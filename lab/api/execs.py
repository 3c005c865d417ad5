"""``exec`` is the node agent's: this joins the client's WebSocket with the agent's, as a real API server does."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web
from yarl import URL

from lab.api import errors, logs
from lab.api.store import Store, Stored

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
NO_UPGRADE = "Upgrade request required"
_NO_SPDY = "the lab runs commands over WebSockets only: use kubectl 1.31 or newer, or another client that speaks them"


async def proxy(
    request: web.Request, session: aiohttp.ClientSession, store: Store, pod: Stored, token: str
) -> web.StreamResponse:
    """Run a command in a container, streams both ways. Raises 400, 404, 500; passes on what the agent refuses."""
    container = logs.container_of(pod, request.query.get("container"))
    namespace, name = pod.key
    path = f"{logs.endpoint(store, pod)}/exec/{namespace}/{name}/{container}"
    url = URL(f"{path}?{request.rel_url.raw_query_string}", encoded=True)
    if "upgrade" not in request.headers.get("Connection", "").lower():
        raise errors.bad_request(NO_UPGRADE)
    headers = {"Authorization": f"Bearer {token}"}
    asked = [word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    spoken = [word for word in asked if word in PROTOCOLS] or PROTOCOLS[-1:]
    try:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await _refusal(session, url, headers)
        try:
            agent = await session.ws_connect(url, protocols=spoken, headers=headers, max_msg_size=0)
        except aiohttp.WSServerHandshakeError:
            return await _refusal(session, url, headers)
    except aiohttp.ClientConnectorError as error:
        raise errors.internal(f"error dialing backend: dial tcp {url.authority}: {logs.go_words(error)}") from None
    except aiohttp.ClientError as error:
        raise errors.internal(f"error dialing backend: {error}") from None
    async with agent:
        client = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
        await client.prepare(request)
        await _join(client, agent)
        return client


async def _refusal(session: aiohttp.ClientSession, url: URL, headers: dict[str, str]) -> web.Response:
    """Why the agent does not run it, as plain as it says it; clients of SPDY get that before they are told of SPDY."""
    async with session.get(url, headers=headers) as answer:
        text = (await answer.text()).strip()
    if text == NO_UPGRADE:
        raise errors.bad_request(_NO_SPDY)
    return web.Response(status=answer.status, text=text)


async def _join(client: web.WebSocketResponse, agent: aiohttp.ClientWebSocketResponse) -> None:
    """Pass frames on in both directions until one side closes; then close the other."""
    ways = [asyncio.ensure_future(_pass_on(client, agent)), asyncio.ensure_future(_pass_on(agent, client))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        await agent.close()
        await client.close()
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass_on(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
