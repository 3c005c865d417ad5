"""The kubelet's logs: ``GET /containerLogs/NAMESPACE/POD/CONTAINER``, for the API server to proxy."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from lab.agent.container import Container
from lab.agent.logs import Log, read
from lab.objects import epoch


async def logs(request: web.Request, container: Container) -> web.StreamResponse:
    """The container's log as PodLogOptions in the query ask for it."""
    try:
        options = _options(request)
    except ValueError as error:
        return web.Response(status=400, text=f"invalid log options: {error}")
    previous, follow = _flag(request, "previous"), _flag(request, "follow")
    log = _previous(container) if previous else container.log
    if log is None:
        return web.Response(status=400, text=_nothing(request.match_info["pod"], container, previous=previous))
    return await _stream(request, log, container.ended if follow and not previous else None, options)


async def _stream(
    request: web.Request, log: Log, until: asyncio.Event | None, options: dict[str, int | bool | None]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    pieces = read(
        log,
        tail=_number(options["tail"]),
        since_ns=_number(options["since_ns"]),
        limit=_number(options["limit"]),
        timestamps=bool(options["timestamps"]),
        follow_until=until,
    )
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


def _number(value: float | None) -> int | None:
    return None if value is None else int(value)


def _options(request: web.Request) -> dict[str, int | bool | None]:
    """The PodLogOptions in the query. Raises ValueError."""
    query = request.query
    since_ns: int | None = None
    if query.get("sinceSeconds"):
        since_ns = time.time_ns() - int(query["sinceSeconds"]) * 1_000_000_000
    elif query.get("sinceTime"):
        since_ns = int(epoch(query["sinceTime"]) * 1e9)
    return {
        "tail": int(query["tailLines"]) if query.get("tailLines") else None,
        "limit": int(query["limitBytes"]) if query.get("limitBytes") else None,
        "since_ns": since_ns,
        "timestamps": _flag(request, "timestamps"),
    }


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")


def _previous(container: Container) -> Log | None:
    """The log of the last run that ended before the present one, or before the restart that is awaited."""
    if not container.state.last_state:
        return None
    waiting = "waiting" in container.state.state
    path = container.folder / f"{container.state.restarts - (0 if waiting else 1)}.log"
    return Log(path) if path.exists() else None


def _nothing(pod: str, container: Container, *, previous: bool) -> str:
    if previous:
        return f'previous terminated container "{container.name}" in pod "{pod}" not found'
    waiting = container.state.state.get("waiting", {}).get("reason", "ContainerCreating")
    if waiting in ("ErrImagePull", "ImagePullBackOff"):
        return f'container "{container.name}" in pod "{pod}" is waiting to start: trying and failing to pull image'
    return f'container "{container.name}" in pod "{pod}" is waiting to start: {waiting}'
