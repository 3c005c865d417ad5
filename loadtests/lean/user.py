"""The Locust user: Locust's runner, events, statistics, web UI and distributed mode, on a lean connection."""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from gevent import Greenlet
from gevent.pool import Group
from locust import User
from locust.env import Environment
from locust.exception import StopTest

from .connection import Connection
from .endpoint import Endpoint
from .errors import RequestRefused, UnexpectedStatus, WireError
from .reader import Answer
from .request import Prepared

_clock = time.perf_counter
EXIT_USAGE = 4  # as everywhere in Muster


class Outcome(NamedTuple):
    """What became of one request.

    ``started`` is when it was sent, in seconds by ``time.perf_counter``; ``service_s`` how long it took from then, with
    connecting if that was needed. ``error`` is None for a sound answer with an expected status; ``answer`` is None
    without a sound answer.
    """

    started: float
    service_s: float
    answer: Answer | None
    error: WireError | None


class LeanClient:
    """Sends the requests of one user and tells Locust's ``request`` event about each."""

    def __init__(self, user: LeanUser, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._connection = Connection(endpoint)
        self._exchange = self._connection.exchange
        self._context = user.context
        self._request = user.environment.events.request

    def prepare(self, method: str, path: str, **more: Any) -> Prepared:
        """A request to this user's host; see :meth:`~request.Prepared.make`."""
        return self.endpoint.prepare(method, path, **more)

    def send(self, prepared: Prepared, *, keep_body: bool = False) -> Outcome:
        """Send it, wait for the answer, tell Locust. Never raises for what the system under load does."""
        answer: Answer | None = None
        error: WireError | None = None
        started = _clock()
        try:
            answer = self._exchange(prepared, keep_body=keep_body)
        except WireError as caught:
            error = caught
        service_s = _clock() - started
        if answer is not None and answer.status not in prepared.expect:
            error = UnexpectedStatus(f"{prepared.method} {prepared.name} answered {answer.status}")
        self._request.fire(
            request_type=prepared.method,
            name=prepared.name,
            response_time=service_s * 1000,
            response_length=answer.length if answer is not None else 0,
            exception=error,
            context=self._context(),
        )
        return Outcome(started, service_s, answer, error)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class LeanUser(User):
    """A user with one persistent connection, ``self.client``. Redirects are answers like any other, and not followed.

    ``ca_file``: trust these certificates beside the system's, as an environment's ``ca_file`` does everywhere.
    """

    abstract = True
    connect_timeout_s = 2.0
    answer_timeout_s = 5.0
    ca_file = ""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = LeanClient(self, self._endpoint())

    def start(self, group: Group) -> Greenlet:
        """Start the user; its connection is closed when it ends, in whatever way."""
        greenlet = super().start(group)
        greenlet.link(lambda _: self.client.close())
        return greenlet

    def _endpoint(self) -> Endpoint:
        """Shared by all users of this class's host in this process; without a usable one the whole test is stopped."""
        host = self.host or self.environment.host or ""
        settings = (host, self.connect_timeout_s, self.answer_timeout_s, self.ca_file)
        known = _ENDPOINTS.setdefault(self.environment, {})
        if settings not in known:
            try:
                known[settings] = Endpoint.at(
                    host,
                    connect_timeout_s=self.connect_timeout_s,
                    answer_timeout_s=self.answer_timeout_s,
                    ca_file=self.ca_file,
                )
            except RequestRefused as error:
                self.environment.process_exit_code = EXIT_USAGE
                raise StopTest(str(error)) from None
        return known[settings]


_ENDPOINTS: WeakKeyDictionary[Environment, dict[tuple[str, float, float, str], Endpoint]] = WeakKeyDictionary()


def check_host(environment: Environment) -> None:
    """From ``events.init``: end a run that starts by itself with one sentence if it has no usable host."""
    options = environment.parsed_options
    if not options or not (options.headless or options.autostart):
        return  # the web UI, or the master, may still name one
    try:
        Endpoint.at(environment.host or options.host or "")
    except RequestRefused as error:
        print(f"locust: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE)


def endpoints(environment: Environment) -> list[Endpoint]:
    """Every endpoint that users of this environment have been given in this process; for their counters."""
    return list(_ENDPOINTS.get(environment, {}).values())
