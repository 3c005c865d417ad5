"""One run: the schedule begins, every second is told, and the run ends when the schedule has and the answers are in.

The same for a process alone, for a worker (its parts go to the master with Locust's own reports) and for a master
(which sends the plan to its workers and merges their parts).
"""

from __future__ import annotations

import gc
import logging
import math
import os
import time
from typing import Any

import gevent
import locust.runners
from concurrency import Concurrency
from dispatcher import Dispatcher
from gather import Lines
from histograms import percentiles_ms
from lean.request import Prepared
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from plan import Plan, of_options
from recorder import Recorder
from schedule import kinds

locust.runners.WORKER_REPORT_INTERVAL = 1.0  # seconds; three would be too few looks for a live view
PARENT = "MUSTER_LOAD_PARENT"  # process id of the Muster that started this Locust
_KEY = "muster"  # in a worker's report
_GATHER_S = 3.0  # for users to be there before the first request is due
_log = logging.getLogger(__name__)


class Crew:
    """What one process needs for a run; ``environment.crew`` while there is one."""

    def __init__(self, environment: Environment, plan: Plan, *, index: int = 0, of: int = 1) -> None:
        self.plan = plan
        self.environment = environment
        self.names = [f"{entry['method']} {entry['path']}" for entry in plan.mix]
        self.requests: list[Prepared] = []  # made by the first user, which knows the host
        self.most_users = max(1, math.ceil(plan.most_users / of))
        schedule = plan.schedule(index, of)
        self.dispatcher = Dispatcher(
            schedule.due(),
            kinds([entry["weight"] for entry in plan.mix], plan.seed + index),
            grow=self._grow,
            concurrency=Concurrency(self.most_users),
            late_after_s=plan.late_after_s,
            give_up_after_s=plan.give_up_after_s,
            look_s=plan.look_s,
        )
        self.recorder = Recorder(self.names)
        self.done = False
        self._begun = False
        self._second = math.floor(time.time())

    def begin(self) -> None:
        """The users are there, or it has been waited long enough for them."""
        if not self._begun:
            self._begun = True
            self.dispatcher.begin()

    def turn(self) -> dict[str, Any]:
        """Close the second that runs."""
        runner = self.environment.runner
        at, self._second = self._second, math.floor(time.time())
        users = len(runner.user_greenlets) if runner else 0
        allowed = min(users, self.dispatcher.concurrency.limit)
        return self.recorder.turn(at, self.dispatcher.count, users=allowed, waiting=self.dispatcher.waiting)

    def until_next_second(self) -> None:
        """Wait, and say whether the run is over."""
        gevent.sleep(max(0.0, self._second + 1 - time.time()))
        self.done = self.dispatcher.over

    def _grow(self) -> bool:
        """In the hub: one user more, if there may be one."""
        runner = self.environment.runner
        if runner is None or len(runner.user_greenlets) >= self.most_users:
            return False
        runner.user_classes[0](self.environment).start(runner.user_greenlets)
        return True


class Run:
    """Follows Locust's own events from start to end; made once for each process, by :func:`follow`."""

    def __init__(self, environment: Environment, figures: str) -> None:
        self._environment, self._figures = environment, figures
        self._parent = int(os.environ.get(PARENT, "0"))
        self._greenlet: Any = None
        self._pending: list[dict[str, Any]] = []  # of a worker, for its next report
        self._done: set[str] = set()  # workers that have sent everything
        self._running: set[str] = set()
        self.lines: Lines | None = None
        events = environment.events
        events.test_start.add_listener(self._start)
        events.spawning_complete.add_listener(self._spawned)
        events.test_stop.add_listener(self._stop)
        events.report_to_master.add_listener(self._report)
        events.worker_report.add_listener(self._reported)

    def _start(self, environment: Environment, **_: Any) -> None:
        runner, options = environment.runner, environment.parsed_options
        plan = of_options(options)
        self.lines = None
        environment.crew = None
        if isinstance(runner, MasterRunner):
            clients = runner.clients
            self._running = {client.id for client in clients.ready + clients.running + clients.spawning}
            self._done.clear()
            options.plan_text, options.plan_share = plan.raw, len(self._running)  # go to the workers with their users
            self.lines = Lines.to(self._figures, len(self._running))
            self._greenlet = gevent.spawn(self._master, plan)
            return
        gc.collect()
        gc.freeze()  # a full collection over all that Locust has imported is a stall of the event loop
        index = max(0, runner.worker_index) if isinstance(runner, WorkerRunner) else 0
        of = max(1, getattr(options, "plan_share", 1))
        environment.crew = Crew(environment, plan, index=index % of, of=of)
        self.lines = None if isinstance(runner, WorkerRunner) else Lines.to(self._figures)
        self._greenlet = gevent.spawn(self._seconds, environment.crew)
        gevent.spawn_later(_GATHER_S, environment.crew.begin)

    def _spawned(self, **_: Any) -> None:
        crew: Crew | None = getattr(self._environment, "crew", None)
        if crew is not None:
            crew.begin()

    def _seconds(self, crew: Crew) -> None:
        while not crew.done:
            crew.until_next_second()
            self._tell(crew)
            if self._orphaned():
                return
        if self.lines is not None:
            self._end()

    def _tell(self, crew: Crew) -> None:
        part = crew.turn()
        if self.lines is None:
            self._pending.append(part)
        else:
            self.lines.add("", part)
            self.lines.write()

    def _master(self, plan: Plan) -> None:
        latest = time.monotonic() + _GATHER_S + plan.schedule().duration_s + plan.drain_s + _GATHER_S
        while not self._running <= self._done and time.monotonic() < latest:
            gevent.sleep(0.2)
            if self.lines is not None:
                self.lines.write()
            lost = self._lost()
            if lost - self._done:
                _log.warning("%d of %d workers are lost", len(lost), len(self._running))
                self._running -= lost
            if self._orphaned():
                return
        self._end()

    def _lost(self) -> set[str]:
        clients = self._environment.runner.clients
        return self._running - {client.id for client in clients.all if client.state != locust.runners.STATE_MISSING}

    def _orphaned(self) -> bool:
        """Whoever asked for the load is gone: nobody would ever stop it. Who started Locust by hand may go."""
        if not self._parent or os.getppid() == self._parent:
            return False
        self._environment.process_exit_code = 1
        self._environment.runner.quit()
        return True

    def _end(self) -> None:
        options, runner = self._environment.parsed_options, self._environment.runner
        if options.headless:
            gevent.spawn(runner.quit)
        else:
            gevent.spawn(runner.stop)

    def _stop(self, **_: Any) -> None:
        crew: Crew | None = getattr(self._environment, "crew", None)
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = None
        if crew is not None:
            crew.dispatcher.stop()
            self._tell(crew)
            self._environment.crew = None

    def close(self) -> None:
        """Write what there is; called when the process quits."""
        crew: Crew | None = getattr(self._environment, "crew", None)
        if crew is not None:
            self._stop()
        if self.lines is not None:
            self.lines.write(everything=True)

    def _report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        crew: Crew | None = getattr(self._environment, "crew", None)
        data[_KEY] = {"parts": self._pending, "done": crew is not None and crew.done}
        self._pending = []

    def _reported(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        told = data.get(_KEY)
        if not told or self.lines is None:
            return
        for part in told["parts"]:
            self.lines.add(client_id, part)
        if told["done"]:
            self._done.add(client_id)
            self.lines.end(client_id)


def follow(environment: Environment, figures: str) -> Run:
    """From ``events.init``."""
    environment.crew = None
    environment.run_followed = Run(environment, figures)
    return environment.run_followed


def sums(lines: Lines) -> str:
    """One sentence about the whole run, for a plain locust's log."""
    asked = (50, 95, 99)
    found = list(zip(asked, percentiles_ms(lines.latency, asked), percentiles_ms(lines.service, asked), strict=True))
    if found[0][1] is None:
        return ""
    parts = [f"P{q} {latency:g} ms (service time {service:g} ms)" for q, latency, service in found]
    return f"from the intended time: {', '.join(parts)}"
