"""The lock of a rollback: a Lease per Deployment that also holds what is being done and what was done last.

What must survive the responder is in the Lease's annotations: the intent (so that a crash between lock and proof is
resumed by whoever comes next), the last rollback and remedies (so that a restarted responder knows of their cool-down)
and when rollbacks were begun (so that it can count those of a day).
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from muster.errors import MusterError
from muster.kube import Kube
from muster.lease import DURATION_S, Lease, LeaseError, holder_of
from muster.release import Release
from muster.workload import Json

INTENT = "muster.dev/intent"
LAST = "muster.dev/last-rollback"
BEGUN = "muster.dev/rollbacks"
REMEDIES = "muster.dev/last-remedies"
OTHER = "-canary"  # behind the name of a note that is of the canary's Deployment, not of the lock's own
_KEPT = 100  # moments of begun rollbacks


class LockLostError(MusterError):
    """Somebody else holds the lock (now)."""


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A rollback (or another remedy) that was decided, written before it is begun."""

    alert: str
    key: str
    bad: Release
    target: Release
    decided_at: float
    remedy: str = ""  # restart, scale; empty for a rollback
    replicas: int = 0  # of a scaling
    begun: bool = False  # written by strategies that must not be begun twice
    proven: bool = False  # what is left is to watch the symptom


@dataclass(frozen=True, kw_only=True)
class Last:
    """The last rollback that was begun here and what became of it."""

    at: float  # seconds since the epoch
    alert: str
    from_revision: int
    to_revision: int
    verdict: str
    key: str = ""  # the occurrence of the alert that it was for: it is acted on once, whoever is told of it


@dataclass(frozen=True)
class Memory:
    """What is remembered of one Deployment's rollbacks."""

    last: Last | None = None
    begun: tuple[float, ...] = ()  # seconds since the epoch


@dataclass(frozen=True, kw_only=True)
class LockState:
    """The Lease as it was read. ``holder`` is empty when nobody (any more) holds it."""

    holder: str
    intent: Intent | None
    lease: Json | None
    own: Memory = Memory()  # of the Deployment that the lock is named after
    other: Memory = Memory()  # of the canary beside it
    remedied: dict[str, float] = field(default_factory=dict)  # remedy -> when it was last carried out


class Lock:
    """The Lease ``muster-rollback-<deployment>``, held under the name ``me``.

    ``me`` must be unique among living responders and the same after a restart: then one takes up its own work at once.
    Clocks of responders may differ by less than the lease's duration.
    """

    def __init__(self, kube: Kube, namespace: str, deployment: str, me: str) -> None:
        self._deployment, self._me = deployment, me
        self._lease = Lease(kube, namespace, f"muster-rollback-{deployment}", me=me)
        self._renewed_at = 0.0

    def read(self) -> LockState:
        """The lock now. Raises :class:`~muster.kube.KubeError`."""
        lease = self._lease.read()
        if lease is None:
            return LockState(holder="", intent=None, lease=None)
        holder, notes = holder_of(lease), lease["metadata"].get("annotations") or {}
        return LockState(
            holder=holder.name if holder else "",
            intent=_intent(notes.get(INTENT)),
            lease=lease,
            own=_memory(notes, ""),
            other=_memory(notes, OTHER),
            remedied={name: at for name, at in _json(notes.get(REMEDIES), {}).items() if isinstance(at, int | float)},
        )

    def others(self, state: LockState) -> str:
        """Who else holds it; empty when it is free, expired or ours."""
        return "" if state.holder == self._me else state.holder

    def take(self, state: LockState, intent: Intent) -> None:
        """Take the lock as it was read, writing the intent with it. Raises LockLostError when somebody was faster."""
        if self.others(state):
            raise LockLostError(f"{state.holder} holds the lock {self._lease.name}")
        with self._renewing():
            self._lease.claim(state.lease, {INTENT: json.dumps(_plain(intent))})

    def mark(self, intent: Intent) -> None:
        """Write what became of the intent into the lock that is held. Raises LockLostError."""
        with self._renewing():
            self._lease.change({INTENT: json.dumps(_plain(intent))})

    def renew(self) -> None:
        """Renew what is held when a third of its time is over. Raises LockLostError when it is not ours any more."""
        if not self._lease.held or time.monotonic() - self._renewed_at > DURATION_S / 3:
            with self._renewing():
                self._lease.renew()

    def memory(self, state: LockState, deployment: str) -> Memory:
        """What is remembered of that Deployment: each has its own cool-down and its own count of a day."""
        return state.own if deployment == self._deployment else state.other

    def release(self, last: Last | None, *, deployment: str = "", remedied: tuple[str, float] | None = None) -> None:
        """Give the lock up, its intent done. Does nothing when not held.

        ``last`` (a rollback of ``deployment``, by default the lock's own) and ``remedied`` (another remedy and when)
        are remembered for their cool-downs.
        """
        held = self._lease.notes
        notes: dict[str, str | None] = {INTENT: None}
        if last is not None:
            of = "" if deployment in ("", self._deployment) else OTHER
            begun = {*_memory(held, of).begun, round(last.at, 3)}
            notes |= {LAST + of: json.dumps(asdict(last)), BEGUN + of: json.dumps(sorted(begun)[-_KEPT:])}
        if remedied is not None:
            notes[REMEDIES] = json.dumps({**_json(held.get(REMEDIES), {}), remedied[0]: remedied[1]})
        with self._renewing():
            self._lease.let_go(notes)

    @contextlib.contextmanager
    def _renewing(self) -> Iterator[None]:
        """What is said to the Lease renews it; that it is somebody else's is LockLostError."""
        try:
            yield
        except LeaseError as error:
            raise LockLostError(str(error)) from error
        self._renewed_at = time.monotonic()


def _plain(intent: Intent) -> dict[str, Any]:
    plain = asdict(intent)
    for side in ("bad", "target"):
        plain[side]["digests"] = sorted(plain[side]["digests"])
    return plain


def _intent(text: str | None) -> Intent | None:
    """The intent of an annotation; what cannot be read (written by hand, or by another version) is none."""
    if text is None:
        return None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        plain = json.loads(text)
        for side in ("bad", "target"):
            given = plain[side]
            plain[side] = Release(**{**given, "digests": frozenset(given["digests"]), "images": tuple(given["images"])})
        return Intent(**plain)
    return None


_Shape = TypeVar("_Shape", list[Any], dict[str, Any])


def _json(text: str | None, empty: _Shape) -> _Shape:
    """The JSON of an annotation when it is of that shape; what somebody else wrote there is nothing."""
    with contextlib.suppress(ValueError):
        value = json.loads(text or "")
        if isinstance(value, type(empty)):
            return value
    return empty


def _last(text: str | None) -> Last | None:
    if text is None:
        return None
    with contextlib.suppress(ValueError, TypeError):
        return Last(**json.loads(text))
    return None


def _memory(notes: Json, of: str) -> Memory:
    found = _json(notes.get(BEGUN + of), [])
    return Memory(_last(notes.get(LAST + of)), tuple(at for at in found if isinstance(at, int | float)))
