"""A real HAProxy with the controller's own configuration, small backends on addresses of their own, users."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from ports import free_port

from lab.api import pki
from lab.client import Client
from lab.errors import ApiError
from lab.ingress import haproxy as template
from lab.ingress.runtime import Runtime, RuntimeApiError
from lab.resources import NAMESPACES


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """The controller asks again when HAProxy stood still for seconds; tests ask once."""
    monkeypatch.setattr("lab.ingress.runtime.ANSWER_TIMEOUT_S", 60.0)


class Proxy:
    """One HAProxy process in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = {
            "ingress": f"http://127.0.0.1:{free_port()}",
            "haproxy_socket": str(folder / "haproxy" / "admin.sock"),
        }
        self.url, self.socket = self.plan["ingress"], Path(self.plan["haproxy_socket"])
        self.socket.parent.mkdir()
        (self.socket.parent / "haproxy.cfg").write_text(template.render(self.plan))
        for path in template.map_files(self.plan):
            path.write_text("")
        self.process: subprocess.Popen | None = None

    async def start(self) -> None:
        program = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
        assert program, "haproxy is not installed"
        with (self.folder / "haproxy.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - outlives this function; stop() waits for it
                [program, "-db", "-f", str(self.socket.parent / "haproxy.cfg")], stdout=log, stderr=log
            )

        async def answers() -> bool:
            try:
                async with Runtime(self.socket):
                    return True
            except RuntimeApiError:
                return False

        await eventually(answers, "HAProxy answers")

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None


async def eventually(condition, what: str, timeout_s: float = 60.0):
    """Wait until an async condition holds; returns what it returned."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        if found := await condition():
            return found
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.02)


@pytest.fixture(name="eventually")
def _eventually():
    return eventually


@pytest.fixture
def folder():
    """A short path: a unix socket's may not be over 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="ing-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def proxy(folder):
    made = Proxy(folder)
    yield made
    made.stop()


_addresses = itertools.count(1)


class Backend:
    """A server that answers its own name when it may, counts, and can die."""

    def __init__(self, name: str) -> None:
        self.name, self.served = name, 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        # Addresses of their own per process, so that tests run side by side.
        self.address = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.{next(_addresses)}"
        self.port = 8080

    async def __aenter__(self):
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, keepalive_timeout=75, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, self.port).start()
        return self

    async def _answer(self, request: web.Request) -> web.Response:
        await self.may_answer.wait()
        self.served += 1
        return web.Response(text=self.name)

    async def __aexit__(self, *_) -> None:
        await self._runner.cleanup()


@pytest.fixture
def backend():
    return Backend


class Users:
    """Keep-alive clients that ask as fast as they are answered, and remember every answer."""

    def __init__(self, url: str, count: int) -> None:
        self.url, self.count, self.answers = url, count, Counter()

    @asynccontextmanager
    async def asking(self):
        stop = asyncio.Event()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            tasks = [asyncio.create_task(self._ask(session, stop)) for _ in range(self.count)]
            try:
                yield self
            finally:
                stop.set()
                await asyncio.gather(*tasks)

    async def _ask(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.answers[await ask(session, self.url)] += 1

    async def more(self, count: int) -> None:
        """Wait until so many more answers have come."""
        goal = self.answers.total() + count

        async def reached() -> bool:
            return self.answers.total() >= goal

        await eventually(reached, f"{count} answers")


async def ask(session: aiohttp.ClientSession, url: str, **kwargs) -> str:
    """The backend's name, or the status or error where there is none."""
    try:
        async with session.get(url, **kwargs) as response:
            text = await response.text()
            return text if response.status == 200 else str(response.status)
    except aiohttp.ClientError as error:
        return type(error).__name__


@pytest.fixture
def users(proxy):
    def make(count: int = 8, path: str = "/"):
        return Users(proxy.url + path, count).asking()

    return make


@pytest.fixture(name="ask")
def _ask():
    return ask


class Api:
    """The lab's Kubernetes API stand-in, as a process on the proxy's own state folder."""

    def __init__(self, state: Path) -> None:
        self.state, self.port = state, free_port()
        self.process: subprocess.Popen | None = None

    async def start(self) -> Client:
        """Start it; returns a client that has been answered. Close the client yourself."""
        pki.make(self.state, self.port)
        with (self.state / "api.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - outlives this function; stop() waits for it
                [sys.executable, "-m", "lab.api", "--state", str(self.state), "--port", str(self.port)],
                stdout=log,
                stderr=log,
            )
        client = Client.from_kubeconfig(self.state / "kubeconfig")

        async def answers() -> bool:
            try:
                return bool(await client.list(NAMESPACES))
            except ApiError:
                return False

        await eventually(answers, "the API answers")
        return client

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(20)
            self.process = None


@pytest.fixture
def api(proxy):
    (proxy.folder / "plan.json").write_text(json.dumps(proxy.plan))
    made = Api(proxy.folder)
    yield made
    made.stop()
