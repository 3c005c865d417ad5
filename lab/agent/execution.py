"""Commands in running containers, over a WebSocket as ``kubectl exec`` and the Python client speak it.

Each message's first byte is its channel. A command runs with the container's environment and working folder, within
its control group where there is one; what it leaves running stays there until the container ends.
https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterable
from typing import Any

from aiohttp import WSMsgType, web

from lab.agent.container import Container
from lab.agent.process import Process, started, watched

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_PIECES = 8
_REST_S = 0.5  # for output that is still in the pipe when the command has ended
Object = dict[str, Any]
_log = logging.getLogger(__name__)


async def execute(request: web.Request, container: Container) -> web.StreamResponse:
    """Run the command in the query; refusals are plain text, as a kubelet's."""
    command = request.query.getall("command", [])
    wanted = {name for name in ("stdin", "stdout", "stderr", "tty") if request.query.get(name) in ("true", "1")}
    if not command:
        return web.Response(status=400, text="you must specify at least 1 command for the container")
    if not wanted & {"stdin", "stdout", "stderr"}:
        return web.Response(status=400, text="you must specify at least 1 of stdin, stdout, stderr")
    if container.process is None and not container.pause:
        return web.Response(status=500, text=f'container not found ("{container.name}")')
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
    if not socket.can_prepare(request):
        return web.Response(status=400, text="Upgrade request required")
    await socket.prepare(request)
    # The first byte tells the client that the way is open.
    await socket.send_bytes(bytes([_STDOUT if "stdout" in wanted else _STDERR if "stderr" in wanted else _ERROR]))
    status = await _run(socket, container, command, wanted)
    if not socket.closed:
        await socket.send_bytes(bytes([_ERROR]) + json.dumps(status).encode())
    await socket.close()
    return socket


async def _run(socket: web.WebSocketResponse, container: Container, command: list[str], wanted: set[str]) -> Object:
    """The Status of the command once it has ended; a client that leaves ends it."""
    group = container.process.group if container.process else None
    try:
        if container.pause:
            raise FileNotFoundError
        popen, output, entry = _start(container, command, wanted)
        process = watched(popen, guest=group is not None)
    except OSError as error:
        return _not_started(command[0], error)
    container.guests.add(process)
    pumps = [asyncio.ensure_future(_pump(socket, channel, file)) for channel, file in output]
    listening = asyncio.ensure_future(_listen(socket, process, entry))
    try:
        code = await process.wait()
        await asyncio.wait(pumps, timeout=_REST_S) if pumps else None
    finally:
        container.guests.discard(process)
        for task in (*pumps, listening):
            task.cancel()
        for outcome in await asyncio.gather(*pumps, listening, return_exceptions=True):
            if isinstance(outcome, Exception):
                _log.error("exec in %s: %s", container.name, outcome, exc_info=outcome)
        if process.running:
            process.signal(signal.SIGKILL)
    return _ended(code)


Output = list[tuple[int, Any]]


def _start(container: Container, command: list[str], wanted: set[str]) -> tuple[subprocess.Popen[bytes], Output, Any]:
    """The process, its outputs by channel, and its input (None for none). Raises OSError."""
    where = (command, container.env, container.folder / "work", container.process.group if container.process else None)
    if "tty" in wanted:
        ours, theirs = pty.openpty()
        try:
            popen = started(*where, stdin=theirs, stdout=theirs, stderr=theirs, first=_take_terminal)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return popen, [(_STDOUT, os.fdopen(ours, "rb", 0))], os.fdopen(os.dup(ours), "wb", 0)
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    stdin, stdout, stderr = (pipe if name in wanted else nothing for name in ("stdin", "stdout", "stderr"))
    popen = started(*where, stdin=stdin, stdout=stdout, stderr=stderr)
    outputs = [(_STDOUT, popen.stdout), (_STDERR, popen.stderr)]
    return popen, [(channel, file) for channel, file in outputs if file is not None], popen.stdin


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class _Output(asyncio.Protocol):
    """What a command says, in order. Not a StreamReader: a terminal ends with EIO, and that loses what came before."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()  # an empty one is the end
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.ReadTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.pieces.put_nowait(data)
        if self.pieces.qsize() >= _PIECES and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        self.pieces.put_nowait(b"")

    async def next(self) -> bytes:
        """The next piece, empty at the end."""
        piece = await self.pieces.get()
        if piece and self.pieces.empty() and self._transport is not None:
            self._transport.resume_reading()
        return piece


async def _pump(socket: web.WebSocketResponse, channel: int, file: Any) -> None:
    """Pass on what the command says until it has closed its end."""
    transport, output = await asyncio.get_running_loop().connect_read_pipe(_Output, file)
    try:
        with contextlib.suppress(OSError):  # the client has left
            while piece := await output.next():
                await socket.send_bytes(bytes([channel]) + piece)
    finally:
        transport.close()


async def _listen(socket: web.WebSocketResponse, process: Process, entry: Any) -> None:
    """Input, window sizes and the end of either; when the client leaves, the command ends."""
    try:
        async for message in socket:
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            channel, rest = (data[0], data[1:]) if data else (_STDIN, b"")
            if entry is None or entry.closed:
                continue
            if channel == _STDIN:
                await _type(entry.fileno(), rest)
            elif channel == _RESIZE:
                _resize(entry, rest)
            elif channel == _CLOSE and rest[:1] == bytes([_STDIN]):
                entry.close()
        process.signal(signal.SIGKILL)
    finally:
        if entry is not None:
            entry.close()


async def _type(descriptor: int, data: bytes) -> None:
    """Write all of it, however slowly it is read. Not by a transport: that reads, too, which is a terminal's output."""
    os.set_blocking(descriptor, False)
    loop, room = asyncio.get_running_loop(), asyncio.Event()
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            room.clear()
            loop.add_writer(descriptor, room.set)
            try:
                await room.wait()
            finally:
                loop.remove_writer(descriptor)
        except OSError:  # the command does not read any longer
            return


def _resize(terminal: Any, content: bytes) -> None:
    with contextlib.suppress(ValueError, KeyError, TypeError, struct.error, OSError):  # a size that is none
        size = json.loads(content)
        packed = struct.pack("HHHH", int(size["Height"]), int(size["Width"]), 0, 0)
        fcntl.ioctl(terminal.fileno(), termios.TIOCSWINSZ, packed)


def _ended(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit status {code}"
    return _failure("NonZeroExitCode", message, causes)


def _not_started(program: str, error: OSError) -> Object:
    why = (error.strerror or str(error)).lower()
    if isinstance(error, FileNotFoundError):
        why = f"stat {program}: no such file or directory" if "/" in program else "executable file not found in $PATH"
    text = f'exec failed: unable to start container process: exec: "{program}": {why}'
    message = f"error executing command in container: failed to exec in container: OCI runtime exec failed: {text}"
    return _failure("InternalError", f"Internal error occurred: {message}", [{"message": message}]) | {"code": 500}


def _failure(reason: str, message: str, causes: Iterable[Object]) -> Object:
    details = {"causes": list(causes)}
    return {"metadata": {}, "status": "Failure", "message": message, "reason": reason, "details": details}
