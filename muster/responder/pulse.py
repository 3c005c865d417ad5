"""Whether the responder could act now: when the API last answered, and who holds the lock."""

from __future__ import annotations

import time
from typing import Any

from muster.kube import KubeError
from muster.responder.lock import Lock, LockState

STALE_S = 10.0  # real time: an API that has not answered for so long is not there


class Pulse:
    """Asked by a loop, told by ``/readyz``, ``/healthz`` and ``/metrics``."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._began = time.monotonic()
        self._answered: float | None = None  # monotonic
        self._asked = self._began  # monotonic: when the question was sent that was answered last
        self._state: LockState | None = None
        self._trouble = "it has not answered yet"

    def take(self) -> LockState:
        """Ask the API for the lock, and remember the answer. Raises :class:`~muster.kube.KubeError`."""
        asked = time.monotonic()
        try:
            state = self._lock.read()
        except KubeError as error:
            self._trouble = str(error)
            raise
        self._asked, self._answered, self._state = asked, time.monotonic(), state
        return state

    @property
    def silent_s(self) -> float:
        """For how long the API has not answered; since the start when it never has."""
        return time.monotonic() - (self._began if self._answered is None else self._answered)

    def ailment(self) -> str:
        """Why the responder could not act now, in a sentence; empty when it could."""
        if self._answered is None:
            return f"the Kubernetes API has not been reached: {self._trouble}"
        if self.silent_s > STALE_S:
            return f"the Kubernetes API has not answered for {self.silent_s:.0f}s: {self._trouble}"
        return ""

    def free_since(self, moment: float) -> bool:
        """Whether the lock was seen to be nobody's by a look that began after ``moment`` (monotonic)."""
        return self._state is not None and self._asked > moment and not self._state.holder

    def lock(self) -> dict[str, Any]:
        """The lock as it was last seen: holder and what it is held for."""
        intent = self._state.intent if self._state else None
        holder = self._state.holder if self._state else ""
        return {"holder": holder, "held_for": intent.alert if intent else "", "seen_s_ago": round(self.silent_s, 1)}
