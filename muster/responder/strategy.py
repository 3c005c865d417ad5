"""How a release is rolled back, by the environment's strategy. Another way is another class and a line in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from muster import release
from muster.errors import Unknown
from muster.kube import Kube
from muster.release import Known, Monitor, Proof, Release, Stage
from muster.release.model import source_of
from muster.responder.compare import among
from muster.system import Environment, System
from muster.system.promql import fill
from muster.workload import Workload, hash_of, is_terminating

_DRAIN_SCRAPES = 4  # a counter that has stood still for so many scrapes has no traffic
_TRAFFIC = "throughput"  # the indicator that says how much there is
_ASK_S = 0.5
_LOOK_S = 4.0  # between two looks at most: the lock is renewed in between


@dataclass(frozen=True)
class View:
    """What stands where: the releases to choose from, and what is in the way of an undo."""

    current: Release
    previous: Release | None
    obstacle: str
    known: dict[str, Known]
    suspects: frozenset[str] = frozenset()  # pods of the current release
    baseline: frozenset[str] = frozenset()  # pods of another release that serve beside them
    served_since: float = 0.0  # since when users are served by the current release; 0: cannot be told
    keeper: str = ""  # who may revert an undo in the cluster (Argo CD, Flux), or ""


@dataclass(frozen=True, kw_only=True)
class World:
    """What a strategy works with."""

    kube: Kube
    monitor: Monitor
    system: System
    env: Environment


class Strategy(Protocol):
    """What the responder asks of any way to roll back. Each call is synchronous and raises MusterError."""

    acts: bool  # whether anything is carried out
    once: bool  # whether beginning it twice is not the same as once; then `overtaken` is asked before, not by itself

    def look(self) -> View:
        """The releases now. Raises Unknown while that is not settled."""

    def observe(self) -> bool:
        """Remember which build serves; whether one does."""

    def overtaken(self, bad: Release) -> str:
        """Why ``bad`` is no longer what is to be rolled back (it was, or somebody was faster); empty while it is."""

    def roll_back(self, bad: Release, target: Release, tick: Callable[[], None]) -> None:
        """Begin to go back to ``target``, provided that ``bad`` still is the current release."""

    def prove(self, bad: Release, target: Release, tick: Callable[[Stage], None]) -> Proof:
        """Watch until it is proven or refuted; ``tick`` is told each stage and may raise to end it."""

    def remember(self, bad: Release, at: float) -> None:
        """Remember that this release was rolled back from."""


class KubernetesUndo:
    """A Deployment's own undo."""

    acts = True
    once = False
    in_cluster = True  # what it changes is the Deployment's spec, and no other place where that is written
    effect_within_s = 0.0

    def __init__(self, world: World) -> None:
        self._kube, self._env = world.kube, world.env
        self._container = source_of(world.env).container
        self._seen: Workload | None = None

    def look(self) -> View:
        """See :class:`Strategy`."""
        self._seen = seen = release.look(self._kube, self._env)
        current = release.current_of(seen, self._container)
        previous = release.previous_of(seen, self._container)
        known = release.read_known(self._kube, current.namespace, current.deployment)
        return View(
            current,
            previous,
            release.obstacle(seen, previous),
            known,
            suspects=_names(seen, current.template_hash),
            baseline=frozenset(_name(pod) for pod in seen.serving() if hash_of(pod) != current.template_hash),
            served_since=current.created,
            keeper=release.keeper_of(seen.deployment) if self.in_cluster else "",
        )

    def observe(self) -> bool:
        """See :class:`Strategy`."""
        seen = release.look(self._kube, self._env)
        known = release.observe(self._kube, seen, self._container)
        return seen.current is not None and hash_of(seen.current) in known

    def overtaken(self, bad: Release) -> str:
        """See :class:`Strategy`."""
        now = release.current(self._kube, self._env)
        if now.template_hash == bad.template_hash:
            return ""
        return f"deployment {bad.deployment} is at revision {now.revision} now, no longer at {bad.revision}"

    def roll_back(self, bad: Release, target: Release, tick: Callable[[], None]) -> None:
        """See :class:`Strategy`. Uses the look just taken; the API server notices a change since then."""
        seen, self._seen = self._seen, None
        release.roll_back(self._kube, self._env, target, bad=bad, seen=seen)

    def prove(self, bad: Release, target: Release, tick: Callable[[Stage], None]) -> Proof:
        """See :class:`Strategy`."""
        return release.prove(
            self._kube,
            self._env,
            bad=bad,
            target=target,
            timeout_s=self._env.rollback.timeout_s,
            tick=tick,
            effect_within_s=self.effect_within_s,
        )

    def remember(self, bad: Release, at: float) -> None:
        """See :class:`Strategy`."""
        release.remember_rollback(self._kube, bad, at)


class UserCommand(KubernetesUndo):
    """A program of the user's that goes back; what it did is proven like the Deployment's own undo."""

    once = True
    in_cluster = False

    def __init__(self, world: World) -> None:
        super().__init__(world)
        command = world.env.rollback.command
        self._settles_s = command.effect_within_s if command else 0.0
        self._may_run_s = command.timeout_s if command else 0.0
        self.effect_within_s = self._settles_s + self._may_run_s  # one that an earlier run began may still be running

    def roll_back(self, bad: Release, target: Release, tick: Callable[[], None]) -> None:
        """See :class:`Strategy`. Raises :class:`~muster.release.CommandError`. Asks the API nothing: it is begun."""
        self.effect_within_s = self._settles_s + self._may_run_s
        release.run_command(self._env, bad, target, tick=tick)
        self.effect_within_s = self._settles_s


class WatchOnly(KubernetesUndo):
    """Somebody else rolls back (Argo Rollouts, Flagger): what an undo would do is looked at, and nothing is done."""

    acts = False
    in_cluster = False

    def observe(self) -> bool:
        """See :class:`Strategy`. Nothing is written, and nobody needs to remember."""
        return True

    def roll_back(self, bad: Release, target: Release, tick: Callable[[], None]) -> None:
        """See :class:`Strategy`. What another strategy has left in the lock is not begun any more."""
        raise release.RollbackRefused("the environment's rollback strategy is none by now: nothing is carried out")


class CanaryAbort:
    """A canary's share of users goes to 0, then its pods; the target is the stable release, which stays as it is."""

    acts = True
    once = False

    def __init__(self, world: World) -> None:
        self._world, self._kube, self._env = world, world.kube, world.env
        self._container = source_of(world.env).container

    def look(self) -> View:
        """See :class:`Strategy`."""
        seen = release.look_canary(self._kube, self._env)
        canary = release.current_of(seen.canary, self._container)
        stable = release.current_of(seen.stable, self._container)
        known = release.read_known(self._kube, stable.namespace, stable.deployment)
        return View(
            canary,
            stable,
            release.canary_obstacle(seen),
            known,
            suspects=_names(seen.canary, canary.template_hash),
            baseline=frozenset(_name(pod) for pod in seen.stable.serving()),
            served_since=release.canary_since(seen, canary),
            keeper=release.keeper_of(seen.canary.deployment),
        )

    def observe(self) -> bool:
        """See :class:`Strategy`. What is remembered is the stable release."""
        seen = release.look(self._kube, self._env)
        known = release.observe(self._kube, seen, self._container)
        return seen.current is not None and hash_of(seen.current) in known

    def overtaken(self, bad: Release) -> str:
        """See :class:`Strategy`. A canary without users was aborted, or is on its way."""
        seen = release.look_canary(self._kube, self._env)
        if not release.weight_of(seen.ingress):
            return "the canary gets no traffic any more"
        return self._released_over(seen, bad)

    def _released_over(self, seen: release.CanarySight, bad: Release) -> str:
        if not seen.canary.wanted:
            return ""
        if release.current_of(seen.canary, self._container).template_hash == bad.template_hash:
            return ""
        return f"another canary was released since: {bad} is no longer the one to abort"

    def roll_back(self, bad: Release, target: Release, tick: Callable[[], None]) -> None:
        """See :class:`Strategy`. Users first: pods that still get requests are not taken away under them."""
        seen = release.look_canary(self._kube, self._env)
        pods = _names(seen.canary, bad.template_hash)
        why = self._released_over(seen, bad)
        if why:
            raise release.RollbackRefused(why)
        release.take_traffic_off(self._kube, self._env)
        drain_s = self._env.rollback.canary.drain_s if self._env.rollback.canary else 0.0
        release.drained(
            lambda: self._traffic(pods),
            within_s=self._env.scaled(drain_s),
            every_s=min(self._env.scaled(self._env.scrape_interval_s), _LOOK_S),
            tick=tick,
        )
        release.scale_down(self._kube, self._env)

    def _traffic(self, pods: frozenset[str]) -> float | None:
        """Requests per second to these pods as Prometheus last saw it; None when it cannot say."""
        slo = self._world.system.slo.get(_TRAFFIC)
        if slo is None or not pods:
            return None
        window_s = _DRAIN_SCRAPES * self._env.scrape_interval_s
        try:
            query = fill(slo.query, among(self._env, pods), window_s)
            return self._world.monitor.value(query, timeout_s=_ASK_S)
        except Unknown:
            return None

    def prove(self, bad: Release, target: Release, tick: Callable[[Stage], None]) -> Proof:
        """See :class:`Strategy`."""
        timeout_s = self._env.rollback.timeout_s
        return release.prove_canary(self._kube, self._env, bad=bad, stable=target, timeout_s=timeout_s, tick=tick)

    def remember(self, bad: Release, at: float) -> None:
        """See :class:`Strategy`."""
        release.remember_rollback(self._kube, bad, at)


def _names(seen: Workload, template_hash: str) -> frozenset[str]:
    return frozenset(_name(pod) for pod in seen.pods if hash_of(pod) == template_hash and not is_terminating(pod))


def _name(pod: dict[str, dict[str, str]]) -> str:
    return pod["metadata"]["name"]


STRATEGIES: dict[str, Callable[[World], Strategy]] = {
    "kubernetes": KubernetesUndo,
    "canary": CanaryAbort,
    "command": UserCommand,
    "none": WatchOnly,
}
