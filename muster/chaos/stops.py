"""Stop conditions, watched all along: when one holds, the experiment is interrupted and heals at once.

The kill switch is a ConfigMap ``muster-stop`` in the workload's namespace (``kubectl create configmap muster-stop``) or
a file ``stop`` beside the ledger. A switch that is on before the experiment begins keeps it from beginning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from muster.chaos.everybody import Everybody, watched_s
from muster.chaos.exclusive import Exclusive
from muster.chaos.incidents import Alert, AlertmanagerAlerts, Exempt, Noise, PrometheusAlerts
from muster.chaos.story import Story
from muster.chaos.watch import EVERY_S, Watcher
from muster.errors import MusterError
from muster.faults import Ledger
from muster.judge.objectives import Objectives, related
from muster.judge.stopping import Stop, everybody_suffers, unrelated_alert, users_suffer, users_unheard
from muster.kube import Kube, KubeError
from muster.load import Load
from muster.system import Environment, System
from muster.system.whose import alert_names
from muster.timeline import Kind
from muster.verdict import Verdict

SWITCH = "muster-stop"
FILE = "stop"
LOST_S = 10.0  # this long without the API server, nobody knows any more what is broken
SWITCH_EVERY_S = 1.0


def switched_off(env: Environment, kube: Kube | None) -> str:
    """Where the kill switch is on, in a sentence; empty when it is off. Raises :class:`~muster.kube.KubeError`."""
    file = kill_file()
    if file.exists():
        return f"the kill switch is on (file {file})"
    if kube is None or env.kubernetes is None:
        return ""
    namespace = env.kubernetes.namespace
    try:
        kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{SWITCH}")
    except KubeError as error:
        if error.status == 404:
            return ""
        raise
    return f"the kill switch is on (ConfigMap {SWITCH} in {namespace})"


def kill_file() -> Path:
    """The file that ends every experiment of those who share this ledger."""
    return Ledger().folder.parent / FILE


class Stops:
    """Looks for reasons to stop and, from the fault on, calls ``end(stop)`` once, from a thread of its own.

    Each source is looked at by a thread of its own, within its own time limits: an API server that hangs delays neither
    the users' budget nor the alerts.
    """

    source = "stop conditions"

    def __init__(
        self,
        story: Story,
        system: System,
        env: Environment,
        objectives: Objectives,
        *,
        load: Load | None,
        kube: Kube | None,
        alone: Exclusive,
        end: Callable[[Stop], None],
    ) -> None:
        self._story, self._env, self._objectives, self._load, self._end = story, env, objectives, load, end
        self._expected, self._alone, self._kube = related(objectives, system), alone, kube
        self._names = alert_names(system)
        self._armed = threading.Event()
        self._armed.set()
        self._once = threading.Lock()
        self._switch_error = ""
        self._answered = time.monotonic()
        self._looks: list[Watcher] = [
            _Look(story, f"{self.source}: users", lambda: self._hear(self._lost() or self._users())),
            _Look(story, f"{self.source}: kill switch", lambda: self._hear(self._switch()), every_s=SWITCH_EVERY_S),
        ]
        over_s = watched_s(system, env, objectives.stop)
        if over_s is not None:
            hear = lambda ratio: self._hear(self._everybody(ratio, over_s))  # noqa: E731
            self._looks.append(Everybody(story, system, env, over_s=over_s, hear=hear))
        noise = Noise(story, system, env)
        if env.prometheus:
            hear_of = lambda alerts, exempt: self._hear(self._unrelated(alerts, exempt))  # noqa: E731
            self._looks.append(PrometheusAlerts(story, env, noise, hear_of))
        if env.alertmanager:
            hear_elsewhere = lambda alerts, exempt: self._hear(self._elsewhere(alerts, exempt))  # noqa: E731
            self._looks.append(AlertmanagerAlerts(story, env, noise, hear_elsewhere))

    def start(self) -> None:
        """Begin to look."""
        for look in self._looks:
            look.start()

    def await_first_look(self) -> None:
        """Wait, within a bound, until each source was looked at once: what fired before is told apart by that."""
        for look in self._looks:
            look.await_first_look()

    def disarm(self) -> None:
        """From here on everything is being healed anyway."""
        self._armed.clear()

    def stop(self) -> None:
        """Ask the threads to end."""
        for look in self._looks:
            look.stop()

    def finish(self) -> None:
        """Wait for them, within a bound, and close the connections."""
        for look in self._looks:
            look.finish()
        if self._kube is not None:
            self._kube.close()

    def _hear(self, stop: Stop | None) -> None:
        """The first reason ends the experiment; those after it are too late."""
        if stop is None:
            return
        with self._once:
            if not self._armed.is_set():
                return
            self._armed.clear()
        told = f"stopped: {stop.reason}"
        self._story.tell(Kind.NOTE, source=self.source, message=told, stopped=stop.verdict.value)
        self._end(stop)

    def _lost(self) -> Stop | None:
        """Whether the drill is alone no more, or out of its API server's reach; asks nobody."""
        if self._alone.lost:
            return Stop(verdict=Verdict.UNKNOWN, reason=self._alone.lost)
        if self._kube is None or time.monotonic() - self._answered <= LOST_S:
            return None
        why = self._switch_error or "it does not answer"
        return Stop(verdict=Verdict.UNKNOWN, reason=f"the API server was out of reach for {LOST_S:g} s: {why}")

    def _switch(self) -> Stop | None:
        """Raises KubeError while the API server cannot be asked; see :meth:`_lost`."""
        try:
            told = switched_off(self._env, self._kube)
        except MusterError as error:
            self._switch_error = str(error)
            raise
        self._answered = time.monotonic()
        return Stop(verdict=Verdict.UNKNOWN, reason=told) if told else None

    def _users(self) -> Stop | None:
        if self._load is None:
            return None
        if died := self._load.failure():
            return Stop(verdict=Verdict.UNKNOWN, reason=f"the load generator died: {died}")
        budget, conditions, timeline = self._env.guard.user_errors_above, self._objectives.stop, self._story.timeline()
        suffer = users_suffer(timeline, conditions, allowed=budget)
        return suffer or users_unheard(timeline, conditions, now=time.time())

    def _everybody(self, ratio: float, over_s: float) -> Stop | None:
        return everybody_suffers(ratio, self._objectives.stop, allowed=self._env.guard.user_errors_above, over_s=over_s)

    def _unrelated(self, alerts: Sequence[Alert], exempt: Exempt) -> Stop | None:
        return self._judge(alerts, exempt, broken=self._broken())

    def _elsewhere(self, alerts: Sequence[Alert], exempt: Exempt) -> Stop | None:
        """Of this place Prometheus tells; what only Alertmanager has of it is the responder's call for people."""
        return self._judge(alerts, exempt, broken=False)

    def _broken(self) -> bool:
        return self._story.timeline().first(Kind.FAULT_INJECTED) is not None

    def _judge(self, alerts: Sequence[Alert], exempt: Exempt, *, broken: bool) -> Stop | None:
        return unrelated_alert(
            alerts,
            system=self._story.system,
            environment=self._story.environment,
            broken=broken,
            quiet="page" in self._objectives.must_not,
            expected=self._expected,
            names=self._names,
            take_unlabelled=self._env.rollback.take_unlabelled,
            exempt=exempt,
        )


class _Look(Watcher):
    """A thread that looks at one source of reasons."""

    def __init__(self, story: Story, source: str, look: Callable[[], None], *, every_s: float = EVERY_S) -> None:
        self.source, self._look = source, look
        super().__init__(story, every_s=every_s)

    def look(self) -> None:
        self._look()
