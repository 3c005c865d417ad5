"""Pods' stand-ins: programs on addresses of a network that is the test's own."""

import asyncio
import contextlib
import os
import shutil
import time
from pathlib import Path

import lab_world
import psutil
import pytest
import yaml

import lab
from lab.agent.addresses import Addresses
from lab.chaos.network import Network
from muster.kube import MERGE, KubeError

NFT = shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@pytest.fixture
def kernel():
    """Skips where packets cannot be redirected."""
    if os.geteuid() != 0 or NFT is None:
        pytest.skip("needs root and nftables")


class _Echo(asyncio.Protocol):
    def __init__(self, peers):
        self.peers = peers
        self.rest = b""

    def connection_made(self, transport):
        self.transport = transport
        self.peers.add(transport)
        transport.write(f"{transport.get_extra_info('peername')[0]}\n".encode())

    def data_received(self, data):
        lines, newline, self.rest = (self.rest + data).rpartition(b"\n")
        self.transport.write(lines + newline)

    def connection_lost(self, exc):
        self.peers.discard(self.transport)


class Place:
    """A small network ``127.N.0.0/16`` in which every address can serve."""

    def __init__(self, state):
        self._claim = Addresses(state)  # the table is the network's: two tests may not have the same
        self.prefix = self._claim.take([]).rpartition(".")[0]
        self.network = Network(state)
        self.state = state
        self._servers = []
        self._peers = set()

    def address(self, number):
        return f"{self.prefix}.{number}"

    def pod(self, number, port=8080):
        return {
            "metadata": {"namespace": "n", "name": f"p{number}"},
            "spec": {"containers": [{"ports": [{"containerPort": port}]}]},
            "status": {"podIP": self.address(number)},
        }

    async def serve(self, number, port=8080):
        """An echo that first says from where it was called."""

        server = await asyncio.get_running_loop().create_server(lambda: _Echo(self._peers), self.address(number), port)
        self._servers.append(server)

    async def call(self, target, source=None, words=("hello",), port=8080, timeout_s=20.0):
        """Talk to a pod; returns ``(seconds, lines)``. Raises OSError when the connection fails, TimeoutError."""
        began = time.monotonic()
        local = (self.address(source), 0) if source else None
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(self.address(target), port, local_addr=local)
            try:
                lines = [(await reader.readline()).decode().strip()]
                for word in words:
                    writer.write(f"{word}\n".encode())
                    lines.append((await reader.readline()).decode().strip())
                if "" in lines:
                    raise ConnectionResetError
                return time.monotonic() - began, lines
            finally:
                writer.transport.abort()

    async def bring(self, plan, selected, targets=(), uid="u"):
        for key, numbers in ((".", selected), (".Target", targets)):
            for number in numbers:
                await self.network.bring(uid, plan, key, f"n/p{number}", self.pod(number))

    async def close(self):
        await self.network.close()
        for server in self._servers:
            server.close()
        for peer in list(self._peers):
            peer.abort()
        await asyncio.sleep(0.01)
        self._claim.close()

    async def rules(self, wanted):
        """Wait until the kernel's rules of this network (empty without a table) are as wanted: it tells nobody."""
        table = f"muster-{'-'.join(self.prefix.split('.')[:2])}-0-0"
        pipe, nobody = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        async with asyncio.timeout(20):
            while True:
                argv = (NFT, "list", "table", "ip", table)
                process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=nobody)
                said, _ = await process.communicate()
                if wanted(said.decode()):
                    return
                await asyncio.sleep(0.05)


@pytest.fixture
def run(tmp_path):
    """Runs ``scenario(place)``; afterwards nothing is left."""

    def run(scenario):
        async def whole():
            place = Place(tmp_path)
            try:
                await scenario(place)
            finally:
                await place.close()

        asyncio.run(whole())

    return run


_MANIFEST = Path(lab.__file__).parent / "manifests" / "05-chaos-mesh.yaml"
_ROOT = "/apis/chaos-mesh.org/v1alpha1/namespaces"
_KINDS = {"networkchaos": "NetworkChaos", "stresschaos": "StressChaos", "podchaos": "PodChaos"}


class ChaosWorld(lab_world.World):
    """A small world that knows the kinds of Chaos Mesh."""

    def up(self):
        super().up()
        for definition in yaml.safe_load_all(_MANIFEST.read_text()):
            if definition["spec"]["names"]["plural"] == "stresschaos":  # other people's definitions may have it
                definition["spec"]["versions"][0]["subresources"] = {"status": {}}
            self.kube.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        for plural in _KINDS:
            wait_until(lambda plural=plural: self.kube.get(f"{_ROOT}/default/{plural}"), f"{plural} to be served")

    def chaos(self, namespace, plural, name="fault", **spec):
        """Create an object; mode all and the pods with app=web are the defaults."""
        spec = {"mode": "all", "selector": {"labelSelectors": {"app": "web"}}} | spec
        body = {
            "apiVersion": "chaos-mesh.org/v1alpha1",
            "kind": _KINDS[plural],
            "metadata": {"name": name},
            "spec": spec,
        }
        return self.kube.post(f"{_ROOT}/{namespace}/{plural}", body)

    def fault(self, namespace, plural, name="fault"):
        """The object, or None once it is gone."""
        try:
            return self.kube.get(f"{_ROOT}/{namespace}/{plural}/{name}")
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def holds(self, namespace, plural, kind, name="fault"):
        """Whether a condition is True."""
        return lab_world.condition(self.fault(namespace, plural, name) or {}, kind) == "True"

    def wait_holds(self, namespace, plural, kind, name="fault", timeout_s=30):
        wait_until(lambda: self.holds(namespace, plural, kind, name), f"{kind} of {plural}/{name}", timeout_s)
        return self.fault(namespace, plural, name)

    def end(self, namespace, plural, name="fault", timeout_s=30):
        """Delete the object and wait until it is gone."""
        self.kube.delete(f"{_ROOT}/{namespace}/{plural}/{name}", {})
        wait_until(lambda: self.fault(namespace, plural, name) is None, f"{plural}/{name} to be gone", timeout_s)

    def workers(self):
        """The processes that stress containers."""
        found = []
        for each in psutil.Process(self._processes["agent"].pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # another child, which has just ended
                found += [each] if "worker.py" in " ".join(each.cmdline()) else []
        return found

    def annotate(self, namespace, plural, name="fault", **annotations):
        path = f"{_ROOT}/{namespace}/{plural}/{name}"

        self.kube.patch(path, {"metadata": {"annotations": annotations}}, kind=MERGE)


wait_until = lab_world.wait_until


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory):
    with ChaosWorld(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def own_world(tmp_path):
    """A world of the test's own, to stop and start parts of."""
    with ChaosWorld(tmp_path) as world:
        yield world
