"""One command in one container, over a WebSocket as ``kubectl exec`` speaks it: bounded in time and in output.

A connection of its own for each command: the official client would swap the request method of a shared ApiClient while
a stream is open, so its WebSocket library is used without it.
https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from muster.kube import Access, KubeError
from muster.read.failures import ReadError
from muster.snapshot import FailureKind

LIMIT_BYTES = 512 * 1024
_STDOUT, _STDERR, _STATUS = 1, 2, 3
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_CANNOT_RUN, _NOT_THERE = 126, 127  # as a shell puts it


@dataclass(frozen=True)
class Target:
    """A container, as the API names it."""

    namespace: str
    pod: str
    container: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}/{self.container}"


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a command left: its exit code and what it wrote, as UTF-8 with replacements."""

    code: int
    stdout: str
    stderr: str


def run(access: Access, target: Target, command: Sequence[str], *, timeout_s: float) -> Output:
    """Run a command and wait for its end, at most ``timeout_s``. Blocks: call it in a thread.

    Raises:
        KubeError: The API server refused, in its words: 403 without permission, 404 without the pod.
        ReadError: ``timeout``; ``too_large`` over 512 KiB of output; ``unparseable`` when the container has no such
            program; ``unreachable`` when the stream ends without a status.
        OSError: The connection failed.
    """
    import websocket

    deadline = time.monotonic() + timeout_s
    where = f"exec {command[0]} in {target}"
    try:
        stream = _connect(access, target, command, timeout_s)
    except websocket.WebSocketBadStatusException as error:
        raise _refused(where, error) from None
    except websocket.WebSocketTimeoutException:
        raise ReadError(FailureKind.TIMEOUT, f"{where} was not begun within {timeout_s:g} s") from None
    except websocket.WebSocketException as error:
        raise ReadError(FailureKind.UNREACHABLE, f"{where}: {error}") from None
    try:
        channels = _listen(stream, where, deadline, timeout_s)
    except websocket.WebSocketException as error:
        raise ReadError(FailureKind.UNREACHABLE, f"{where} broke off: {error}") from None
    finally:
        stream.shutdown()
    code = _exit_code(where, channels[_STATUS])
    return Output(
        code=code, stdout=channels[_STDOUT].decode(errors="replace"), stderr=channels[_STDERR].decode(errors="replace")
    )


def _connect(access: Access, target: Target, command: Sequence[str], timeout_s: float) -> Any:
    import websocket

    query = {"container": target.container, "stdout": "true", "stderr": "true", "command": list(command)}
    path = f"/api/v1/namespaces/{quote(target.namespace)}/pods/{quote(target.pod)}/exec?{urlencode(query, doseq=True)}"
    return websocket.create_connection(
        access.server.replace("http", "ws", 1) + path,
        timeout=timeout_s,
        header=[f"{name}: {value}" for name, value in access.headers.items()],
        subprotocols=list(_PROTOCOLS),
        sslopt={"context": access.verify},
        http_no_proxy=["*"],  # as every other reading: no proxy from the process environment
        redirect_limit=0,
    )


def _listen(stream: Any, where: str, deadline: float, timeout_s: float) -> dict[int, bytearray]:
    """What came on each channel until the server closed the stream."""
    import websocket

    channels = {_STDOUT: bytearray(), _STDERR: bytearray(), _STATUS: bytearray()}
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ReadError(FailureKind.TIMEOUT, f"{where} did not end within {timeout_s:g} s")
        stream.settimeout(left)
        try:
            opcode, data = stream.recv_data()
        except websocket.WebSocketTimeoutException:
            continue
        except websocket.WebSocketConnectionClosedException:
            return channels
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return channels
        if data and data[0] in channels:
            channels[data[0]] += data[1:]
        if sum(map(len, channels.values())) > LIMIT_BYTES:
            raise ReadError(FailureKind.TOO_LARGE, f"{where} says more than {LIMIT_BYTES // 1024} KiB")


def _exit_code(where: str, said: bytearray) -> int:
    """The exit code in the Status that ends the stream. Raises ReadError when the command never ran or nothing came."""
    try:
        status = json.loads(said)
        if status["status"] == "Success":
            return 0
        causes = (status.get("details") or {}).get("causes") or []
        codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
        message = str(status.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReadError(FailureKind.UNREACHABLE, f"{where} ended without an exit code") from None
    if not codes or codes[0] in {_CANNOT_RUN, _NOT_THERE}:
        raise ReadError(FailureKind.UNPARSEABLE, f"{where} could not be started: {message}")
    return codes[0]


def _refused(where: str, error: Any) -> KubeError:
    body = error.resp_body or b""
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        said = body.decode(errors="replace").strip()[:300]
    return KubeError(f"Kubernetes API: {where}: {said or error.status_code}", status=error.status_code)
