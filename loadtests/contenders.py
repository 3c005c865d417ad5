"""Clients side by side, for benchmarks: each asks the same page as fast as it can, from 50 connections on one core.

``locust -f loadtests/contenders.py CLASS --host URL`` for the users, ``python loadtests/contenders.py URL`` for a plain
gevent loop without Locust. Each measures ``MEASURED_S`` seconds after a second of warm-up, prints one JSON line
``{"requests", "seconds", "cpu_s", "errors"}`` and ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket
from locust import FastHttpUser, HttpUser, constant, events, task
from locust.env import Environment

sys.path.insert(0, str(Path(__file__).parent))
from lean.user import LeanUser

CONNECTIONS = 50
MEASURED_S = float(os.environ.get("MEASURED_S", "5"))
PAGE = "/api/v1/ping"


class Http(HttpUser):
    """Locust's user on requests."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """Once."""
        self.client.get(PAGE)


class FastHttp(FastHttpUser):
    """Locust's user on geventhttpclient."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """Once."""
        self.client.get(PAGE)


class Lean(LeanUser):
    """Ours."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Make the request."""
        self.page = self.client.prepare("GET", PAGE)

    @task
    def ask(self) -> None:
        """Once."""
        self.client.send(self.page)


def measure(counted: Callable[[], tuple[int, int]]) -> None:
    """Print what happens within the measured time. ``counted`` gives requests and errors so far."""
    gevent.sleep(1)
    (requests, errors), began, cpu_s = counted(), time.perf_counter(), time.process_time()
    gevent.sleep(MEASURED_S)
    (requests_after, errors_after), ended, cpu_s_after = counted(), time.perf_counter(), time.process_time()
    figures = {
        "requests": requests_after - requests,
        "seconds": ended - began,
        "cpu_s": cpu_s_after - cpu_s,
        "errors": errors_after - errors,
    }
    print(json.dumps(figures), flush=True)


@events.spawning_complete.add_listener
def begin(**_: Any) -> None:
    """Measure once every user is there."""
    gevent.spawn(_measure_locust)


@events.init.add_listener
def remember(environment: Environment, **_: Any) -> None:
    """Only this event tells which environment it is."""
    _running.append(environment)


_running: list[Environment] = []


def _measure_locust() -> None:
    environment = _running[0]
    total = environment.stats.total
    measure(lambda: (total.num_requests, total.num_failures))
    environment.runner.quit()


def bare(url: str) -> None:
    """The same from a plain loop: gevent's sockets, no Locust, no look at the answer but for its status and size."""
    parts = urlsplit(url)
    request = f"GET {PAGE} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    answered = failed = 0

    def loop() -> None:
        nonlocal answered, failed
        connection = socket.create_connection((parts.hostname, parts.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            connection.sendall(request)
            answered += 1
            failed += not connection.recv(65536).startswith(b"HTTP/1.1 200")

    for _ in range(CONNECTIONS):
        gevent.spawn(loop)
    measure(lambda: (answered, failed))


if __name__ == "__main__":
    bare(sys.argv[1])
