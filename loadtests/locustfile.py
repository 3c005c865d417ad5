"""Users of the system in an open loop. Plain ``locust -f loadtests/locustfile.py`` works too, with its web UI.

``--rate`` is what all users offer together, in requests per second; ``--plan FILE`` is a whole schedule with its load
mix (``plan``); ``--figures FILE`` writes one JSON line a second (``gather``).
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from locust import events, task
from locust.env import Environment
from locust.user.users import LOCUST_STATE_RUNNING

sys.path.insert(0, str(Path(__file__).parent))
from crew import Crew, follow, sums
from elsewhere import EXIT_USAGE, refuse
from lean.user import LeanUser, check_host, endpoints
from plan import PlanError, of_options


@events.init_command_line_parser.add_listener
def options(parser: Any) -> None:
    """The options of this file; the web UI offers the rate too."""
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second that all users offer together")
    parser.add_argument("--plan", default="", include_in_web_ui=False, help="send what this JSON file says")
    parser.add_argument("--figures", default="", include_in_web_ui=False, help="write one JSON line a second here")


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    """Refuse a host that no request can go to and a plan that nobody can follow; then wait for the run."""
    given = environment.parsed_options
    check_host(environment)
    refuse(environment)
    try:
        if not getattr(given, "worker", False):  # a worker has its plan from the master
            plan = of_options(given)
            plan.headers()
            Caller.follow_plan(plan)
    except PlanError as error:
        print(f"locust: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    follow(environment, given.figures)


@events.test_start.add_listener
def ask_again(environment: Environment, **_: Any) -> None:
    """The web UI has a field for the host: the one that is typed there is refused like any other."""
    refuse(environment)


@events.quitting.add_listener
def tell(environment: Environment, **_: Any) -> None:
    """What the statistics do not show."""
    run = getattr(environment, "run_followed", None)
    if run is not None:
        run.close()
        if run.lines is not None and not environment.parsed_options.figures and (words := sums(run.lines)):
            print(words, file=sys.stderr)
    for endpoint in endpoints(environment):
        if resent := endpoint.counters.resent:
            logging.getLogger(__name__).warning(
                "%d requests were sent once more: %s closed kept connections", resent, endpoint.where
            )


class Caller(LeanUser):
    """One user with one connection. Redirects are not followed: load goes to the host it was allowed for, only."""

    @classmethod
    def follow_plan(cls, plan: Any) -> None:
        """What the plan says of connections."""
        cls.connect_timeout_s, cls.answer_timeout_s = plan.connect_timeout_s, plan.answer_timeout_s
        cls.ca_file = plan.ca_file

    def __init__(self, environment: Environment) -> None:
        crew: Crew = environment.crew
        self.follow_plan(crew.plan)
        super().__init__(environment)
        self._crew = crew
        if not crew.requests:
            headers = crew.plan.headers()
            crew.requests = [
                self.client.prepare(
                    entry["method"],
                    entry["path"],
                    headers=headers,
                    json=entry.get("body"),
                    name=entry["path"],
                    expect={entry["expect"]},
                )
                for entry in crew.plan.mix
            ]

    def on_start(self) -> None:
        """It is there."""
        self._crew.dispatcher.joined()

    @task
    def ask(self) -> None:
        """Take requests as they fall due, until the run ends. Locust's own loop would cost as much as a request."""
        crew, send = self._crew, self.client.send
        take, done = crew.dispatcher.take, crew.dispatcher.done
        record, requests = crew.recorder.record, crew.requests
        while self._state == LOCUST_STATE_RUNNING:
            due, kind, _ = take()
            try:
                record(kind, due, send(requests[kind]))
            finally:
                done()
