"""One experiment's recording: users, watchers and story from before the hypothesis until everything is healed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import Any

from muster.chaos import needs, outputs, shared, story
from muster.chaos.context import Configuration, Place, open_kube, place, promises
from muster.chaos.cooldown import wait_until_ready
from muster.chaos.indicators import facts_of, tell_measured
from muster.chaos.over import over_s
from muster.chaos.sources import watchers
from muster.chaos.stops import Stops, switched_off
from muster.chaos.story import Story
from muster.chaos.watch import Watcher
from muster.errors import MusterError
from muster.faults import guard
from muster.judge import served
from muster.judge.beyond import unsettled_beyond
from muster.judge.objectives import LoadOrder, Objectives, may_act, window_s
from muster.judge.silence import unsettled
from muster.judge.stopping import Stop
from muster.judge.timeline import Judgement, judge
from muster.load import Load
from muster.load.allowed import allowed_time
from muster.rules import predict
from muster.system import System
from muster.timeline import Kind
from muster.wait import TimedOut, wait_until

LOAD_LIMIT_S = 900.0  # an experiment's own users stay no longer, unless it needs them to
SETTLE_S = 300.0  # at true scale: an alert that some hiccup has made pending is over within its window
SURE_S = 1.0  # over the latest that windows allow, before silence is taken for an answer


class Recording:
    """Begins with :meth:`start`; :meth:`finish` judges and writes; :meth:`stop` may be called any number of times."""

    def __init__(
        self,
        name: str,
        experiment: Mapping[str, Any],
        configuration: Configuration,
        *,
        end: Callable[[Stop], None] = lambda _: None,
    ) -> None:
        self.name, self._title = name, str(experiment["title"])
        self._where: Place = place(configuration)
        self.objectives: Objectives = promises(experiment, name, self._where.system)
        self.run = outputs.run_folder(self._where.system.name, self._where.env.name)
        self.folder: Path = self.run / outputs.FOLDER / name
        self._load: Load | None = None
        self._own_load: Load | None = None  # outside a session: nobody else stops it
        self._watchers: list[Watcher] = []
        self._story: Story | None = None
        self._stops: Stops | None = None
        self._end = end  # called from another thread when a stop condition holds
        self._own = ExitStack()

    def start(self) -> None:
        """Bring users in, then watch. Raises :class:`~muster.errors.MusterError` when that cannot be done."""
        system, env = self._where.system, self._where.env
        guard.may_begin(env)
        session = shared.current()
        # A session keeps others out until its end: between two experiments the place is not free either.
        alone = (session.alone if session else self._own).enter_context(shared.alone(system.name, env))
        with nullcontext() if env.kubernetes is None else open_kube(env) as kube:
            if told_off := switched_off(env, kube):
                raise MusterError(told_off)
        self.folder.mkdir(parents=True, exist_ok=True)
        told = Story(self.name, system.name, env.name, self.folder / "events.jsonl")
        self._story = told
        story.begin(told)
        told.tell(
            Kind.DRILL_STARTED,
            source="muster",
            message=self._title,
            expected=self.objectives.model_dump(exclude_none=True),
            window_s=window_s(self.objectives, system, env.time_scale),
            outlast_s=self._outlast_s(),
            listen_s=self._listen_s(),
            may_act=facts_of(self.objectives, system, env),
            blind_s=self._blind_s(),
            predicted_s=self._predicted(),
            scrape_s=env.scaled(env.scrape_interval_s),
            evaluation_s=env.scaled(env.evaluation_interval_s),
            over_s=over_s(self.objectives, system, env),
            told_s=needs.told_s(self.objectives, system, env),
            users_well=served.limits_of(system),
            promised_p95_s=_promised_p95_s(system),
        )
        if self.objectives.action == "rollback":
            wait_until_ready(env, told)
        since = time.time()
        order = self.objectives.load
        if order is not None:
            self._load = self._users(order)
            told.tell(Kind.NOTE, source="muster", message=f"{order.users} users send {order.rate} requests a second")
        kube, another = (open_kube(env) if env.kubernetes is not None else None for _ in range(2))
        self._watchers = watchers(told, system, env, since=since, load=self._load, kube=kube)
        self._stops = Stops(
            told,
            system,
            env,
            self.objectives,
            load=self._load,
            kube=another,
            alone=alone,
            end=self._end,
        )
        for watcher in self._watchers:
            watcher.start()
        self._stops.start()
        for watcher in self._watchers:
            watcher.await_first_look()
        self._stops.await_first_look()

    def _users(self, order: LoadOrder) -> Load:
        session, env = shared.current(), self._where.env
        needed_s = needs.users_s(self.objectives, self._where.system, env)
        if session is not None:
            return session.users(env, order, needed_s=needed_s)
        wanted_s = needs.wanted_s(needed_s, at_least_s=LOAD_LIMIT_S)
        limit_s = allowed_time(env, rate=order.rate, needed_s=needed_s, wanted_s=wanted_s)
        self._own_load = Load.start(env, rate=order.rate, users=order.users, folder=self.folder, limit_s=limit_s)
        self._own_load.wait_flowing()
        return self._own_load

    def disarm(self) -> None:
        """Look for no more reasons to stop: everything is being healed."""
        if self._stops is not None:
            self._stops.disarm()

    @property
    def begun(self) -> bool:
        """Whether there is anything to judge."""
        return self._story is not None

    def stop(self) -> None:
        """End watchers and users."""
        watching: list[Watcher | Stops] = [*self._watchers, *filter(None, [self._stops])]
        for watcher in watching:
            watcher.stop()
        for watcher in watching:
            watcher.finish()
        self._watchers, self._stops = [], None
        if self._own_load is not None:
            self._own_load.stop()
        self._load = self._own_load = None
        self._own.close()

    def finish(
        self, *, interrupted: str = "", stop: Stop | None = None, hurry: Callable[[], bool] = lambda: False
    ) -> Judgement:
        """Take the last look at every source, judge, and write timeline.json.

        An alert that might yet do what must not follow is given a moment to resolve or to act: one that has become
        pending just now says nothing of the fault. ``hurry``: asked meanwhile whether somebody wants this to end.
        """
        assert self._story is not None  # noqa: S101 - started
        if not interrupted:
            self._settle(self._story, hurry)
        self._story.tell(Kind.DRILL_ENDED, source="muster", message=interrupted)
        self.stop()
        system, env = self._where.system, self._where.env
        if not interrupted:
            tell_measured(self._story, self.objectives, system, env)
        judgement = judge(
            self._story.timeline(),
            self.objectives,
            window_s=window_s(self.objectives, system, env.time_scale),
            predicted_s=self._predicted(),
        )
        body = outputs.document(
            self._story.timeline(),
            self.objectives,
            judgement,
            title=self._title,
            interrupted=interrupted,
            stop=stop,
        )
        session = shared.current()
        outputs.write(self.run, body, session.whole if session else None)
        return judgement

    def _settle(self, told: Story, hurry: Callable[[], bool]) -> None:
        with suppress(TimedOut):
            wait_until(
                lambda: (
                    unsettled(told.timeline(), self.objectives) + unsettled_beyond(told.timeline(), self.objectives)
                ),
                lambda alerts: not alerts or hurry(),
                what="alerts were still open",
                timeout_s=self._where.env.scaled(SETTLE_S),
                every_s=0.1,
            )

    def _outlast_s(self) -> float | None:
        alert = self.objectives.outlast
        if not alert:
            return None
        return predict.detection(self._where.system, self._where.env, alert).upper_s + SURE_S

    def _listen_s(self) -> dict[str, float]:
        """For how long after the fault alerts must be listened to until what must not follow would have followed."""
        system, env = self._where.system, self._where.env
        return {
            what_not: max((predict.detection(system, env, name).upper_s for name in names), default=0.0)
            for what_not, names in may_act(self.objectives, system).items()
        }

    def _blind_s(self) -> dict[str, tuple[float, float]]:
        """For each blind alert, how long it takes at most to become pending, and to fire, once it sees its fault."""
        system, env = self._where.system, self._where.env
        found = ((alert, predict.detection(system, env, alert)) for alert in self.objectives.blind)
        return {alert: (prediction.pending_s, prediction.firing_s) for alert, prediction in found}

    def _predicted(self) -> tuple[float, float] | None:
        alert = self.objectives.alert
        if not alert or self._story is None:
            return None
        # Discovery of new pods is measured, and taken off: the prediction is that of pods that are scraped.
        found = predict.detection(self._where.system, self._where.env, alert)
        return found.lower_s, found.upper_s


def _promised_p95_s(system: System) -> float | None:
    slo = system.slo.get("latency_p95")
    return slo.objective.bound if slo is not None and slo.objective is not None else None
