"""The daemon's control channel: a unix socket in the state folder, one JSON object per line each way.

Requests: ``{"do": "status"}``, ``{"do": "stop" | "start", "component": NAME}``.
Answers: ``{"ok": true, ...}`` or ``{"ok": false, "error": SENTENCE}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lab.errors import LabError

DAEMON = "daemon"  # the name of its record and its log
Answer = dict[str, Any]
Handler = Callable[[dict[str, Any]], Awaitable[Answer]]


def request(path: Path, timeout_s: float, **body: str) -> Answer:
    """Ask the daemon and wait for its answer. Raises :class:`LabError`: its own sentence, or that nobody answered."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(timeout_s)
            channel.connect(str(path))
            channel.sendall(json.dumps(body).encode() + b"\n")
            with channel.makefile("rb") as lines:
                line = lines.readline()
        answer = json.loads(line)
    except TimeoutError:
        raise LabError(f"the lab's daemon did not answer within {timeout_s:.0f} s ({path})") from None
    except (OSError, ValueError) as error:
        raise LabError(f"the lab's daemon does not answer at {path}: {error}") from None
    if not answer.get("ok"):
        raise LabError(str(answer.get("error", "the lab's daemon refused")))
    return dict(answer)


async def serve(path: Path, handle: Handler) -> asyncio.Server:
    """Answer requests at ``path`` (mode 0600) until the server is closed."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(handle, line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # the asker left, or sent more than a line may hold
            return
        finally:
            writer.close()

    path.unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(converse, path)
    finally:
        os.umask(mask)


async def _answer(handle: Handler, line: bytes) -> Answer:
    try:
        body = json.loads(line)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return {"ok": False, "error": "a request is a JSON object"}
    try:
        return {"ok": True, **await handle(body)}
    except LabError as error:
        return {"ok": False, "error": str(error)}
