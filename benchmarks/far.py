"""The lab's sources as if they were far away: TCP proxies that hold every byte back, on loopback.

The pods' own addresses come from the Kubernetes API, so the API's answers are rewritten on the way: 127.N.x.y, where
the lab's pods listen, becomes 127.M.x.y, where the proxies in front of them do. TLS to the API is ended and begun
again for that, with a certificate of this file's own; the delay lies outside of it and is felt by each of its flights.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

SOURCES = ("ingress", "prometheus", "alertmanager", "sink")
Relay = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Far:
    """Everything behind ``delay_s`` each way. Use as a context manager; ``endpoints`` is the file to give a run."""

    def __init__(self, endpoints: Path, pods: list[str], ports: tuple[int, ...], delay_s: float, folder: Path) -> None:
        self._near = json.loads(endpoints.read_text(encoding="utf-8"))
        self._near_net, self._far_net = _nets(pods[0], ports[0])
        self._pods, self._ports, self._delay_s, self._folder = pods, ports, delay_s, folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.endpoints = folder / "endpoints.json"
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(20)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @staticmethod
    async def _end() -> None:
        """Nothing is left half sent."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=3)

    def far(self, pod: str) -> str:
        """Where a pod is reached through the delay."""
        return pod.replace(self._near_net, self._far_net, 1)

    async def _serve(self) -> None:
        for name in SOURCES:
            where = urlsplit(self._near[name])
            port = await self._listen("127.0.0.1", 0, self._delayed(where.hostname or "", where.port or 80))
            self.addresses[name] = f"{where.scheme}://127.0.0.1:{port}"
        self.addresses["kubeconfig"] = str(await self._kubernetes())
        for pod in self._pods:
            for port in self._ports:
                await self._listen(self.far(pod), port, self._delayed(pod, port))
        body = {**self._near, **self.addresses}
        self.endpoints.write_text(json.dumps(body), encoding="utf-8")

    async def _kubernetes(self) -> Path:
        """A kubeconfig that leads to the API through the rewriting and the delay."""
        config = json.loads(Path(self._near["kubeconfig"]).read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        where, authority = urlsplit(cluster["server"]), base64.b64decode(cluster["certificate-authority-data"])
        trust = ssl.create_default_context(cadata=authority.decode())
        public, ours = certificate(self._folder)
        relay = await self._listen(
            "127.0.0.1", 0, self._rewriting(where.hostname or "", where.port or 443, trust), ours
        )
        port = await self._listen("127.0.0.1", 0, self._delayed("127.0.0.1", relay))
        cluster |= {"server": f"https://127.0.0.1:{port}"}
        cluster["certificate-authority-data"] = base64.b64encode(public).decode()
        self.api = cluster["server"]
        file = self._folder / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config), encoding="utf-8")
        return file

    @staticmethod
    async def _listen(host: str, port: int, relay: Relay, tls: ssl.SSLContext | None = None) -> int:
        server = await asyncio.start_server(relay, host, port, ssl=tls, backlog=1024)
        found: int = server.sockets[0].getsockname()[1]
        return found

    def _delayed(self, host: str, port: int) -> Relay:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(2 * self._delay_s)  # the connection's own round trip
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(host, port)
                await asyncio.gather(late(reader, far_writer, self._delay_s), late(far_reader, writer, self._delay_s))

        return relay

    def _rewriting(self, host: str, port: int, trust: ssl.SSLContext) -> Relay:
        names = f'"{self._near_net}'.encode(), f'"{self._far_net}'.encode()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(host, port, ssl=trust)
                await asyncio.gather(late(reader, far_writer, 0.0), late(far_reader, writer, 0.0, rewrite=names))

        return relay


async def late(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay_s: float,
    *,
    rewrite: tuple[bytes, bytes] | None = None,
) -> None:
    """Hand on what comes in, each piece ``delay_s`` after it came, until the end comes."""
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def collect() -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                pieces.put_nowait((loop.time() + delay_s, piece))
        pieces.put_nowait((loop.time() + delay_s, b""))

    collecting = asyncio.create_task(collect())
    held = b""
    try:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if rewrite:
                whole = (held + piece).replace(*rewrite)
                cut = len(whole) - _begun(whole, rewrite[0]) if piece else len(whole)
                held, piece = whole[cut:], whole[:cut] or piece[:0]
                if not piece and held:
                    continue
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
    except OSError:
        collecting.cancel()
    finally:
        writer.close()


def _begun(text: bytes, wanted: bytes) -> int:
    """How many bytes at the end may be the beginning of an address that is to be rewritten."""
    return next((size for size in range(len(wanted) - 1, 0, -1) if text.endswith(wanted[:size])), 0)


def _nets(pod: str, port: int) -> tuple[str, str]:
    """``127.29.`` and a net of the same length that is free: so the API's Content-Length stays true."""
    number = int(pod.split(".")[1])
    for other in range(10 ** (len(str(number)) - 1), 256):
        net = f"127.{other}."
        if other != number and len(str(other)) == len(str(number)):
            with contextlib.suppress(OSError), socket.create_server((pod.replace(f"127.{number}.", net, 1), port)):
                return f"127.{number}.", net
    raise SystemExit(f"no net of loopback is free beside that of {pod}")


def certificate(folder: Path) -> tuple[bytes, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself, and a server's context with it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "relay.pem"
    file.touch(mode=0o600)
    file.write_bytes(private + public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return public, context
