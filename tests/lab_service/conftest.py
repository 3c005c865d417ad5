"""Replicas as real processes, each on a loopback address of its own, as the node agent starts them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

_numbers = itertools.count(1)


def eventually(condition, what: str, timeout_s: float = 60.0):
    """Wait until a condition holds; returns what it returned. A refused connection counts as not yet."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if found := condition():
                return found
            seen = found
        except httpx.TransportError as error:
            seen = error
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}; last seen {seen!r}"
        time.sleep(0.02)


class Replica:
    """One ``python -m lab.service``."""

    def __init__(self, folder, address: str, name: str, environment: dict[str, str]) -> None:
        self.address, self.name = address, name
        self.folder = folder / name
        self.folder.mkdir()
        self.log = self.folder / "log"
        self.http = httpx.Client(base_url=f"http://{address}:8080", timeout=30, trust_env=False)
        base = {"PATH": os.environ["PATH"], "POD_IP": address, "PORT": "8080", "HOSTNAME": name, "VERSION": "3.4.0"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lab.service"],
                cwd=self.folder,
                env=base | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def up(self):
        eventually(lambda: self.get("/health").status_code == 200, f"{self.name} is up")
        return self

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels; an absent metric is an error, not 0."""
        text = self.get("/metrics").text
        samples = [
            sample
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert samples, f"{name}{labels} is not in /metrics"
        return sum(sample.value for sample in samples)

    def end(self) -> int:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        return self.process.wait(20)


@pytest.fixture
def replicas(tmp_path):
    """Make ``count`` replicas that know one another; environment for all, or ``only={index: {...}}``."""
    made: list[Replica] = []
    groups = itertools.count()

    def make(count: int = 1, only: dict[int, dict[str, str]] | None = None, **environment: str) -> list[Replica]:
        addresses = [f"127.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}.{next(_numbers)}" for _ in range(count)]
        peers = ",".join(f"r{index}={address}" for index, address in enumerate(addresses))
        folder = tmp_path / f"group{next(groups)}"
        folder.mkdir()
        for index, address in enumerate(addresses):
            own = {"MESH_PEERS": peers} | environment | (only or {}).get(index, {})
            made.append(Replica(folder, address, f"r{index}", own))
        return made[-count:]

    yield make
    for replica in made:
        replica.end()


@pytest.fixture
def replica(replicas):
    """One healthy replica that is up."""
    return replicas()[0].up()


@pytest.fixture(name="eventually")
def _eventually():
    return eventually
