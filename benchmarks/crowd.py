"""A deployment of many pods: stand-ins in front of the lab, in a process of their own, on loopback.

What is real: the lab's API behind every request that is not for its list of pods, Prometheus, Alertmanager, the
ingress, and each mesh handshake, which one of the lab's own pods performs. What is not: the pods are copies of the
lab's, each with an address of its own in 127.40.0.0/16, and answer over HTTP what one of the lab's pods answered
once, without working for it. Prometheus does not know them. The first three see every other pod as a mesh peer, the
rest their twenty neighbours: views of everybody by everybody would be a million entries, and quadratic by themselves.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
import resource
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from aiohttp import ClientSession, TCPConnector, WSMsgType, web
from far import certificate, late

HTTP, MESH = 8080, 9443
WHOLE_VIEWS, NEIGHBOURS = 3, 20
PATHS = ("/health", "/metrics", "/security/pqc/status", "/mesh/status", "/mesh/peers")
READY = "ready"


class Crowd:
    """The stand-ins, running. Use as a context manager; ``endpoints`` is the file to give a run."""

    def __init__(self, endpoints: Path, size: int, folder: Path) -> None:
        self.endpoints = folder / "endpoints.json"
        self._command = [sys.executable, __file__, str(endpoints), str(size), str(folder)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != READY:
            raise SystemExit("the stand-ins did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=20)  # they end when their standard input does


class StandIn:
    """Everything of one crowd, in one event loop."""

    def __init__(self, endpoints: dict[str, Any], size: int, folder: Path) -> None:
        self._endpoints, self._size, self._folder = endpoints, size, folder
        config = json.loads(Path(endpoints["kubeconfig"]).read_text(encoding="utf-8"))
        self._config, self._cluster = config, config["clusters"][0]["cluster"]
        self._server = self._cluster["server"]
        authority = base64.b64decode(self._cluster["certificate-authority-data"]).decode()
        self._trust = ssl.create_default_context(cadata=authority)
        self._lists: dict[str, bytes] = {}  # path -> the pods, copied
        self._originals: dict[str, str] = {}  # a copy's name -> the pod that it is a copy of
        self._addresses: dict[str, tuple[str, str]] = {}  # a copy's address -> its name, its original's address

    async def serve(self) -> None:
        """Until standard input ends."""
        async with ClientSession(connector=TCPConnector(ssl=self._trust)) as self._http:
            runner = web.AppRunner(self._app(), access_log=None)
            await runner.setup()
            _, tls = _certificate_of(self._folder)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            self._write(runner.addresses[0][1])
            await self._pods()
            print(READY, flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    def _write(self, port: int) -> None:
        public, _ = _certificate_of(self._folder)
        self._cluster |= {"server": f"https://127.0.0.1:{port}"}
        self._cluster["certificate-authority-data"] = base64.b64encode(public).decode()
        kubeconfig = self._folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(self._config), encoding="utf-8")
        body = {**self._endpoints, "kubeconfig": str(kubeconfig)}
        (self._folder / "endpoints.json").write_text(json.dumps(body), encoding="utf-8")

    # ---- the API

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path_qs
        name = request.path.partition("/pods/")[2].partition("/")[0]
        path = path.replace(name, self._originals.get(name, name)) if name else path
        if path in self._lists:
            return web.Response(body=self._lists[path], content_type="application/json")
        headers = {"Authorization": request.headers.get("Authorization", "")}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._exec(request, path, headers)
        async with self._http.request(request.method, self._server + path, headers=headers) as answer:
            body = await answer.read()
            kind = answer.content_type
            if answer.status == 200 and request.path.endswith("/pods"):
                body = self._listed(json.loads(body))
                self._lists[path] = body  # nothing changes here: what a copy costs is not to be measured
            elif answer.status == 200 and "/deployments/" in request.path:
                body = self._counted(json.loads(body))
            return web.Response(body=body, status=answer.status, content_type=kind)

    async def _exec(self, request: web.Request, path: str, headers: dict[str, str]) -> web.WebSocketResponse:
        ours = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await ours.prepare(request)
        protocols = (ours.ws_protocol,) if ours.ws_protocol else ()
        async with self._http.ws_connect(self._server + path, headers=headers, protocols=protocols) as theirs:
            async for message in theirs:
                if message.type is WSMsgType.BINARY:
                    await ours.send_bytes(message.data)
                elif message.type is WSMsgType.TEXT:
                    await ours.send_str(message.data)
        await ours.close()
        return ours

    def _listed(self, found: dict[str, Any]) -> bytes:
        """The pods that the workload's selector finds, copied; other pods are left as they are."""
        workload = [pod for pod in found["items"] if pod["metadata"]["name"] in self._originals.values()]
        if workload:
            found["items"] = [self._copy(workload, number) for number in range(self._size)]
        return json.dumps(found).encode()

    def _copy(self, originals: list[dict[str, Any]], number: int) -> dict[str, Any]:
        pod = copy.deepcopy(originals[number % len(originals)])
        pod["metadata"] |= {"name": _name(pod["metadata"]["name"], number), "uid": f"uid-{number}"}
        pod["status"] |= {"podIP": _address(number), "podIPs": [{"ip": _address(number)}]}
        return pod

    def _counted(self, deployment: dict[str, Any]) -> bytes:
        if deployment.get("kind") == "Deployment":
            deployment["spec"]["replicas"] = self._size
            for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
                deployment["status"][key] = self._size
        return json.dumps(deployment).encode()

    # ---- the pods

    async def _pods(self) -> None:
        originals = await self._workload()
        for number in range(self._size):
            name, address = originals[number % len(originals)]
            self._originals[_name(name, number)] = name
            self._addresses[_address(number)] = (_name(name, number), address)
        said = {path: _get(f"http://{originals[0][1]}:{HTTP}{path}") for path in PATHS}
        loop = asyncio.get_running_loop()
        for number in range(self._size):
            answers = {path.encode(): self._said(path, body, number) for path, body in said.items()}
            await loop.create_server(lambda answers=answers: _Pod(answers), sock=_bound(_address(number), HTTP))
            original = self._addresses[_address(number)][1]
            await asyncio.start_server(_forwarding(original, MESH), sock=_bound(_address(number), MESH))

    async def _workload(self) -> list[tuple[str, str]]:
        token = self._config["users"][0]["user"]["token"]
        url = f"{self._server}/api/v1/namespaces/x0tta6bl4-staging/pods?labelSelector=app%3Dx0tta6bl4-staging"
        async with self._http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            return [(pod["metadata"]["name"], pod["status"]["podIP"]) for pod in (await answer.json())["items"]]

    def _said(self, path: str, body: bytes, number: int) -> bytes:
        """The whole HTTP answer of one pod for one path."""
        kind = b"text/plain; version=0.0.4" if path == "/metrics" else b"application/json"
        if path == "/mesh/peers":
            body = self._peers(json.loads(body), number)
        return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)

    def _peers(self, view: dict[str, Any], number: int) -> bytes:
        names = list(self._originals)
        near = range(1, len(names) if number < WHOLE_VIEWS else min(NEIGHBOURS + 1, len(names)))
        peers = [names[(number + step) % len(names)] for step in near]
        view |= {"self": names[number], "peers": [{**view["peers"][0], "name": peer} for peer in peers]}
        return json.dumps(view).encode()


class _Pod(asyncio.Protocol):
    """One connection to one stand-in: an answer for each request, kept alive."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers, self._buffer = answers, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            path = self._buffer[:end].split(b" ", 2)[1].partition(b"?")[0]
            self._buffer = self._buffer[end + 4 :]
            self._transport.write(self._answers.get(path) or b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def _forwarding(host: str, port: int) -> Any:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(host, port)
            await asyncio.gather(late(reader, far_writer, 0.0), late(far_reader, writer, 0.0))

    return relay


def _name(original: str, number: int) -> str:
    """A pod's name ends in five letters or digits of its own."""
    return f"{original.rpartition('-')[0]}-c{number:04d}"


def _address(number: int) -> str:
    return f"127.40.{number // 250}.{number % 250 + 1}"


def _bound(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port), backlog=64)


def _get(url: str) -> bytes:
    assert urlsplit(url).scheme == "http"
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - asserted above
        body: bytes = answer.read()
        return body


_made: dict[Path, tuple[bytes, ssl.SSLContext]] = {}


def _certificate_of(folder: Path) -> tuple[bytes, ssl.SSLContext]:
    if folder not in _made:
        folder.mkdir(parents=True, exist_ok=True)
        _made[folder] = certificate(folder)
    return _made[folder]


def main() -> None:
    """``crowd.py ENDPOINTS SIZE FOLDER``: serve until standard input ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16384)), hard))
    endpoints, size, folder = sys.argv[1:4]
    stand_in = StandIn(json.loads(Path(endpoints).read_text(encoding="utf-8")), int(size), Path(folder))
    asyncio.run(stand_in.serve())


if __name__ == "__main__":
    main()
