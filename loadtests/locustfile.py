"""Users of the x0tta6bl4 API, at a constant rate. Plain ``locust -f loadtests/locustfile.py`` works too.

``--rate`` is what all users offer together, in requests per second; ``--figures FILE`` writes one JSON line a second.
"""

from __future__ import annotations

import logging
import random
import sys
from pathlib import Path
from types import MethodType
from typing import Any

import gevent
from locust import constant_throughput, events, task
from locust.env import Environment

sys.path.insert(0, str(Path(__file__).parent))
from figures import Figures
from lean.user import LeanUser, check_host, endpoints


@events.init_command_line_parser.add_listener
def options(parser: Any) -> None:
    """The two options of this file; the web UI offers the rate too."""
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second that all users offer together")
    parser.add_argument("--figures", default="", include_in_web_ui=False, help="write one JSON line a second here")


@events.init.add_listener
def watch(environment: Environment, **_: Any) -> None:
    """Refuse a host that no request can go to; write the figures where they were asked for."""
    check_host(environment)
    path = getattr(environment.parsed_options, "figures", "")
    if path:
        Figures(environment, Path(path))


@events.quitting.add_listener
def tell(environment: Environment, **_: Any) -> None:
    """What the statistics do not show."""
    for endpoint in endpoints(environment):
        if resent := endpoint.counters.resent:
            logging.getLogger(__name__).warning(
                "%d requests were sent once more: %s closed kept connections", resent, endpoint.where
            )


class Caller(LeanUser):
    """One user with one connection. Redirects are not followed: load goes to the host it was allowed for, only."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        options = environment.parsed_options
        self._share = options.rate / max(1, options.num_users or 1)
        self.wait_time = MethodType(constant_throughput(self._share), self)
        self._ping = self.client.prepare("GET", "/api/v1/ping")
        self._route = self.client.prepare("GET", "/api/v1/route")
        self._message = self.client.prepare("POST", "/api/v1/messages", json={"to": "all", "text": "hello"})

    def on_start(self) -> None:
        """Begin at an instant of one's own: users in step would be one burst, which no real users are."""
        gevent.sleep(random.random() / self._share)  # noqa: S311 - no secret

    @task(6)
    def ping(self) -> None:
        """The cheapest request, and the most frequent."""
        self.client.send(self._ping)

    @task(3)
    def route(self) -> None:
        """Ask for a way through the mesh."""
        self.client.send(self._route)

    @task(1)
    def message(self) -> None:
        """Leave a message."""
        self.client.send(self._message)
