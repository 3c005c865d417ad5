"""What a kubelet serves: logs and exec for the API server to proxy, metrics for Prometheus and ``kubectl top``."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from lab.agent.container import Container
from lab.agent.execution import execute
from lab.agent.logendpoint import logs
from lab.agent.pod import Pod
from lab.errors import LabError

Lookup = Callable[[str, str], Pod | None]
_WHERE = "{namespace}/{pod}/{container}"


class KubeletServer:
    """Serves on 127.0.0.1; the API's own bearer token is asked for."""

    def __init__(self, find: Lookup, token_file: Path) -> None:
        self._find = find
        self._token_file = token_file
        self._app = web.Application(middlewares=[self._authorize])
        for path, answer in (("containerLogs", logs), ("exec", execute)):
            self._app.router.add_get(f"/{path}/{_WHERE}", self._about_container(answer))
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.5)

    def offer(self, path: str, answer: Callable[[], tuple[str, str]]) -> None:
        """Serve ``(content type, text)`` at a path; before :meth:`start`."""

        async def handler(_request: web.Request) -> web.Response:
            kind, text = answer()
            return web.Response(body=text.encode(), headers={"Content-Type": kind})

        self._app.router.add_get(path, handler)

    async def start(self, port: int = 0) -> int:
        """Listen on a port (0: a free one) and return it. Raises :class:`LabError`."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError as error:
            raise LabError(f"the node agent cannot listen on 127.0.0.1:{port}: {error.strerror}") from None
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            token = self._token_file.read_text().strip()
        except OSError:
            token = ""
        given = request.headers.get("Authorization", "").encode()
        if not token or not hmac.compare_digest(given, f"Bearer {token}".encode()):
            return web.Response(status=401, text="Unauthorized")
        return await handler(request)

    def _about_container(self, answer: Callable[[web.Request, Container], Awaitable[web.StreamResponse]]) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            where = request.match_info
            pod = self._find(where["namespace"], where["pod"])
            if pod is None:
                return web.Response(status=404, text=f'pod "{where["pod"]}" does not exist')
            container = next((each for each in pod.all() if each.name == where["container"]), None)
            if container is None:
                text = f"container {where['container']} is not valid for pod {where['pod']}"
                return web.Response(status=404, text=text)
            return await answer(request, container)

        return handler
