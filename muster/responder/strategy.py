"""How a release is rolled back, by the environment's strategy. Another way is another class and a line in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from muster import release
from muster.kube import Kube
from muster.release import Known, Proof, Release, Stage
from muster.system import Environment
from muster.workload import Workload, hash_of


@dataclass(frozen=True)
class View:
    """What stands where: the releases to choose from, and what is in the way of an undo."""

    current: Release
    previous: Release | None
    obstacle: str
    known: dict[str, Known]


class Strategy(Protocol):
    """What the responder asks of any way to roll back. Each call is synchronous and raises MusterError."""

    def look(self) -> View:
        """The releases now. Raises Unknown while that is not settled."""

    def observe(self) -> bool:
        """Remember which build serves; whether one does."""

    def roll_back(self, bad: Release, target: Release) -> None:
        """Begin to go back to ``target``, provided that ``bad`` still is the current release."""

    def prove(self, bad: Release, target: Release, tick: Callable[[Stage], None]) -> Proof:
        """Watch until it is proven or refuted; ``tick`` is told each stage and may raise to end it."""

    def remember(self, bad: Release, at: float) -> None:
        """Remember that this release was rolled back from."""


class KubernetesUndo:
    """A Deployment's own undo."""

    def __init__(self, kube: Kube, env: Environment) -> None:
        self._kube = kube
        self._env = env
        self._container = env.kubernetes.container if env.kubernetes else ""
        self._seen: Workload | None = None

    def look(self) -> View:
        """See :class:`Strategy`."""
        self._seen = seen = release.look(self._kube, self._env)
        current = release.current_of(seen, self._container)
        previous = release.previous_of(seen, self._container)
        known = release.read_known(self._kube, current.namespace, current.deployment)
        return View(current, previous, release.obstacle(seen, previous), known)

    def observe(self) -> bool:
        """See :class:`Strategy`."""
        seen = release.look(self._kube, self._env)
        known = release.observe(self._kube, seen, self._container)
        return seen.current is not None and hash_of(seen.current) in known

    def roll_back(self, bad: Release, target: Release) -> None:
        """See :class:`Strategy`. Uses the look just taken; the API server notices a change since then."""
        seen, self._seen = self._seen, None
        release.roll_back(self._kube, self._env, target, bad=bad, seen=seen)

    def prove(self, bad: Release, target: Release, tick: Callable[[Stage], None]) -> Proof:
        """See :class:`Strategy`."""
        timeout_s = self._env.rollback.timeout_s
        return release.prove(self._kube, self._env, bad=bad, target=target, timeout_s=timeout_s, tick=tick)

    def remember(self, bad: Release, at: float) -> None:
        """See :class:`Strategy`."""
        release.remember_rollback(self._kube, bad, at)


STRATEGIES: dict[str, Callable[[Kube, Environment], Strategy]] = {"kubernetes": KubernetesUndo}
