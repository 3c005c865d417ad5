"""Probes: http, tcp, exec. Each returns None for success or the kubelet's sentence for the failure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.cgroups import Group

Object = dict[str, Any]
_MAX_OUTPUT = 10 * 1024


async def probe(
    spec: Object, container: Object, ip: str, env: Mapping[str, str], folder: Path, *, group: Group | None = None
) -> str | None:
    """Run one probe within its ``timeoutSeconds``; a command runs within ``group``."""
    timeout_s = float(spec.get("timeoutSeconds") or 1)
    if "httpGet" in spec:
        return await _http(spec["httpGet"], container, ip, timeout_s)
    if "tcpSocket" in spec:
        return await _tcp(spec["tcpSocket"], container, ip, timeout_s)
    if "exec" in spec:
        return await _exec(spec["exec"]["command"], env, folder, timeout_s, group)
    return "missing probe handler: only httpGet, tcpSocket and exec are known here"


def port_number(port: int | str, container: Object) -> int | None:
    """A number, or the number of the container port of that name."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for entry in container.get("ports") or []:
        if entry.get("name") == port:
            return int(entry["containerPort"])
    return None


async def _http(spec: Object, container: Object, ip: str, timeout_s: float) -> str | None:
    port = port_number(spec["port"], container)
    if port is None:
        return f"couldn't find port {spec['port']!r}"
    host, path, scheme = spec.get("host") or ip, spec.get("path") or "/", (spec.get("scheme") or "HTTP").lower()
    what = f'Get "{scheme}://{host}:{port}{path}"'
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    headers |= {entry["name"]: entry["value"] for entry in spec.get("httpHeaders") or []}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()
    try:
        async with asyncio.timeout(timeout_s):
            status = await _ask(host, port, request, secure=scheme == "https")
    except TimeoutError:
        return f"{what}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    except OSError as error:
        return f"{what}: {_dial(host, port, error)}"
    except (ValueError, IndexError):
        return f"{what}: net/http: malformed HTTP response"
    return None if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


async def _ask(host: str, port: int, request: bytes, *, secure: bool) -> int:
    context = None
    if secure:  # kubelets do not verify what they probe
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(request)
        line = await reader.readline()
        if not line:
            raise ConnectionResetError("EOF")
        return int(line.split()[1])
    finally:
        writer.transport.abort()


def _dial(host: str, port: int, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {host}:{port}: connect: connection refused"
    if isinstance(error, ConnectionResetError):
        return "EOF" if str(error) == "EOF" else "read: connection reset by peer"
    return f"dial tcp {host}:{port}: {error.strerror or error}"


async def _tcp(spec: Object, container: Object, ip: str, timeout_s: float) -> str | None:
    port = port_number(spec["port"], container)
    host = spec.get("host") or ip
    if port is None:
        return f"couldn't find port {spec['port']!r}"
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"dial tcp {host}:{port}: i/o timeout"
    except OSError as error:
        return _dial(host, port, error)
    writer.transport.abort()
    return None


async def _exec(
    command: list[str], env: Mapping[str, str], folder: Path, timeout_s: float, group: Group | None
) -> str | None:
    try:
        with contextlib.nullcontext() if group is None else group.door() as enter:
            child = await asyncio.create_subprocess_exec(
                *command,
                env=dict(env),
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=enter,
            )
    except OSError as error:
        return f'exec: "{command[0]}": {error.strerror or error}'
    except subprocess.SubprocessError:  # it could not enter the group: the container ends just now
        return f'exec: "{command[0]}": the container is gone'
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await child.communicate()
    except TimeoutError:
        return f"command timed out after {timeout_s:g}s"
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
    return None if child.returncode == 0 else output[:_MAX_OUTPUT].decode(errors="replace")
