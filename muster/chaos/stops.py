"""Stop conditions, watched all along: when one holds, the experiment is interrupted and heals at once.

The kill switch is a ConfigMap ``muster-stop`` in the workload's namespace (``kubectl create configmap muster-stop``) or
a file ``stop`` beside the ledger. A switch that is on before the experiment begins keeps it from beginning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from muster.chaos.exclusive import Exclusive
from muster.chaos.story import Story
from muster.chaos.watch import HttpWatcher
from muster.errors import MusterError
from muster.faults import Ledger
from muster.judge.objectives import Objectives
from muster.judge.stopping import Stop, unrelated_alert, users_suffer
from muster.kube import Kube, KubeError
from muster.load import Load
from muster.release import bearer, trust_of
from muster.system import Environment
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


class Stops(HttpWatcher):
    """Looks for reasons to stop and, from the fault on, calls ``end(stop)`` once, from its own thread."""

    source = "stop conditions"

    def __init__(
        self,
        story: Story,
        env: Environment,
        objectives: Objectives,
        *,
        load: Load | None,
        kube: Kube | None,
        alone: Exclusive,
        end: Callable[[Stop], None],
    ) -> None:
        super().__init__(story, env.prometheus, headers=lambda: bearer(env, "prometheus"), verify=trust_of(env))
        self._env, self._objectives, self._load, self._kube, self._end = env, objectives, load, kube, end
        self._alone = alone
        self._asked = 0.0
        self._answered = time.monotonic()
        self._armed = threading.Event()
        self._armed.set()

    def disarm(self) -> None:
        """From here on everything is being healed anyway."""
        self._armed.clear()

    def look(self) -> None:
        """Call ``end`` when a condition holds. A source that cannot be read hides no condition of another."""
        stop = self._others() or self._switch() or self._users() or self._alerts()
        if stop is not None and self._armed.is_set():
            self._armed.clear()
            self.story.tell(
                Kind.NOTE, source=self.source, message=f"stopped: {stop.reason}", stopped=stop.verdict.value
            )
            self._end(stop)

    def close(self) -> None:
        """Close the connections."""
        if self._kube is not None:
            self._kube.close()
        super().close()

    def _others(self) -> Stop | None:
        return Stop(verdict=Verdict.UNKNOWN, reason=self._alone.lost) if self._alone.lost else None

    def _switch(self) -> Stop | None:
        now = time.monotonic()
        if now - self._asked < SWITCH_EVERY_S:
            return None
        self._asked = now
        try:
            if told := switched_off(self._env, self._kube):
                return Stop(verdict=Verdict.UNKNOWN, reason=told)
        except MusterError as error:
            if now - self._answered > LOST_S:
                return Stop(
                    verdict=Verdict.UNKNOWN, reason=f"the API server was out of reach for {LOST_S:g} s: {error}"
                )
        else:
            self._answered = now
        return None

    def _users(self) -> Stop | None:
        if self._load is None:
            return None
        if died := self._load.failure():
            return Stop(verdict=Verdict.UNKNOWN, reason=f"the load generator died: {died}")
        budget = self._env.guard.user_errors_above
        return users_suffer(self.story.timeline(), self._objectives.stop, allowed=budget)

    def _alerts(self) -> Stop | None:
        """Nothing while Prometheus cannot be read: its own watcher tells that, and the drill may be about it."""
        if not self._env.prometheus:
            return None
        with suppress(httpx.HTTPError):
            alerts = self.get("/api/v1/alerts")["data"]["alerts"]
            broken = self.story.timeline().first(Kind.FAULT_INJECTED) is not None
            quiet = broken and "page" in self._objectives.must_not  # before, it is the hypothesis that does not hold
            return unrelated_alert(alerts, system=self.story.system, environment=self.story.environment, quiet=quiet)
        return None
