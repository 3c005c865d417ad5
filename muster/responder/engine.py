"""What the responder does with an alert: decide, lock, roll back, prove, record. Synchronous; runs in a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from muster.errors import MusterError, Unknown
from muster.kube import Kube, KubeError
from muster.release import Proof, RollbackRefused, Stage
from muster.responder.audit import Audit
from muster.responder.decide import Refusal, Situation, fault_began, misdirected, refusal
from muster.responder.journal import Journal
from muster.responder.lock import Intent, Last, Lock, LockLostError, LockState
from muster.responder.strategy import STRATEGIES, View
from muster.responder.webhook import Alert
from muster.system import Environment, System
from muster.system.model import KubernetesSource
from muster.verdict import Verdict

_LOG = logging.getLogger("muster.responder")
_RETRIES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # pauses while the API cannot be read; Alertmanager repeats after that
_LOOKS_S = 15.0  # the longest that a few requests of another thread may take
_GIVE_UP_S = 900.0  # an intent older than this is not taken up any more: people have long been paged


class StoppedError(MusterError):
    """The responder was told to stop; the intent stays in the Lease and is resumed."""


class _BusyError(MusterError):
    """This responder is carrying out a rollback already."""


@dataclass
class Responder:
    """The responder's work for one environment. Several threads may call it; one rollback at a time is carried out."""

    system: System
    env: Environment
    source: KubernetesSource
    kube: Kube
    audit: Audit
    me: str  # see Lock
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._strategy = STRATEGIES[self.env.rollback.strategy](self.kube, self.env)
        self._lock = Lock(self.kube, self.source.namespace, self.source.deployment, self.me)
        self._journal = Journal(self.audit, self.kube, self.source)
        self._mutex = threading.Lock()  # the Lease guards against others, this against ourselves
        self._under_way = False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Alone with the cluster: short looks of other threads are waited for, a rollback under way is not."""
        deadline = time.monotonic() + _LOOKS_S
        while not self._mutex.acquire(timeout=0.02):
            if self._under_way or time.monotonic() > deadline:
                raise _BusyError("a rollback is already under way, carried out by this responder")
        try:
            yield
        finally:
            self._mutex.release()

    def handle(self, alert: Alert) -> bool:
        """Decide on one firing alert and carry it out; whether that is final for this occurrence of the alert."""
        if alert.action != "rollback":
            reason = f"the runbook's action is {alert.action}, which is not carried out here"
            self._journal.decided(alert, "propose", reason, final=True)
            return True
        reason = misdirected(alert, self.system, self.env)
        if reason:
            return self._refuse(alert, Refusal("misdirected", reason, passing=False))
        for pause_s in (*_RETRIES_S, None):
            try:
                with self._alone():
                    return self._decide(alert)
            except (_BusyError, LockLostError) as error:
                return self._refuse(alert, Refusal("under way", str(error), passing=True))
            except (KubeError, Unknown) as error:
                if pause_s is None or self.stop.wait(pause_s):
                    no = Refusal("unknown", str(error), passing=True)
                    return self._refuse(alert, no, verdict=Verdict.UNKNOWN.value)
                _LOG.warning("%s: %s; trying again", alert.name, error)
        raise AssertionError  # the last pause is None

    def _decide(self, alert: Alert) -> bool:
        state = self._lock.read()
        if state.intent is not None and not self._lock.others(state):
            self._resume(state, state.intent)
            state = self._lock.read()
        view = self._strategy.look()
        no = refusal(self._situation(alert, state, view))
        if no is not None:
            return self._refuse(alert, no, revision=view.current.revision)
        assert view.previous is not None  # noqa: S101 - without one there is an obstacle, and that is refused
        intent = Intent(alert=alert.name, key=alert.key, bad=view.current, target=view.previous, decided_at=time.time())
        self._lock.take(state, intent)
        self._journal.decided(alert, "roll back", f"{intent.bad} goes back to {intent.target}", final=True)
        self._carry_out(intent)
        return True

    def _refuse(self, alert: Alert, no: Refusal, **data: object) -> bool:
        self._journal.refused(alert, no, **data)
        return not no.passing

    def _situation(self, alert: Alert, state: LockState, view: View) -> Situation:
        return Situation(
            alert=alert,
            now=time.time(),
            current=view.current,
            previous=view.previous,
            obstacle=view.obstacle,
            lock_holder=self._lock.others(state),
            last=state.last,
            cool_down_s=self.env.scaled(self.env.rollback.cool_down_s),
            fault_began=fault_began(alert, self.system, self.env),
            known=view.known,
        )

    def resume(self) -> bool:
        """Take up what a crash left between lock and proof; whether there was anything. Raises KubeError."""
        try:
            with self._alone():
                state = self._lock.read()
                if state.intent is None or self._lock.others(state):
                    return False
                self._resume(state, state.intent)
                return True
        except (_BusyError, LockLostError) as error:
            _LOG.info("nothing resumed: %s", error)
            return False

    def _resume(self, state: LockState, intent: Intent) -> None:
        self._lock.take(state, intent)
        verdict = self._journal.outcome(intent)
        if verdict is not None:  # all was done but to give the lock up
            self._finish(intent, verdict)
            return
        self._journal.resumed(intent)
        self._carry_out(intent)

    def _carry_out(self, intent: Intent) -> None:
        """From the intent to the proof. What cannot be finished now stays in the Lease for :meth:`resume`."""
        self._under_way = True
        try:
            self._try(intent)
        finally:
            self._under_way = False

    def _try(self, intent: Intent) -> None:
        try:
            proof = self._begin(intent) or self._prove(intent)
        except (StoppedError, LockLostError) as error:
            self._journal.note(intent, f"left to whoever comes next: {error}")
            return
        except (KubeError, Unknown) as error:
            refused = isinstance(error, KubeError) and 400 <= error.status < 500 and error.status not in (408, 409, 429)
            proof = _no_proof(intent, Verdict.FAIL if refused else Verdict.UNKNOWN, str(error))
        if proof.verdict is Verdict.UNKNOWN and time.time() - intent.decided_at > _GIVE_UP_S:
            proof = _no_proof(intent, Verdict.FAIL, f"given up after {_GIVE_UP_S:g}s: {proof.message}")
        self._journal.proven(intent, proof)
        if proof.verdict is not Verdict.UNKNOWN:
            self._finish(intent, proof.verdict)

    def _begin(self, intent: Intent) -> Proof | None:
        """Ask for the undo, unless an earlier run has; the FAIL when it is refused now, else None."""
        try:
            self._strategy.roll_back(intent.bad, intent.target)
        except RollbackRefused as error:
            if self._strategy.look().current.template_hash == intent.target.template_hash:
                return None  # begun before the crash
            return _no_proof(intent, Verdict.FAIL, str(error))
        self._journal.started(intent)
        return None

    def _prove(self, intent: Intent) -> Proof:
        off = False

        def _tick(stage: Stage) -> None:
            nonlocal off
            if stage.traffic_off and not off:
                off = True
                self._journal.traffic_off(intent, stage)
            if self.stop.is_set():
                raise StoppedError("the responder was stopped")
            self._lock.renew()

        return self._strategy.prove(intent.bad, intent.target, _tick)

    def _finish(self, intent: Intent, verdict: Verdict) -> None:
        """Remember the bad release and give the lock up. When that fails, :meth:`resume` does it."""
        last = Last(
            at=intent.decided_at,
            alert=intent.alert,
            from_revision=intent.bad.revision,
            to_revision=intent.target.revision,
            verdict=verdict.value,
        )
        try:
            self._strategy.remember(intent.bad, intent.decided_at)
        except KubeError as error:
            self._journal.note(intent, f"{intent.bad} is not remembered as rolled back: {error}")
        try:
            self._lock.release(last)
        except (KubeError, LockLostError) as error:
            self._journal.note(intent, f"the lock could not be given up yet: {error}")

    def observe(self) -> bool:
        """Remember which build serves now, unless a rollback is under way; whether one does. Raises KubeError."""
        try:
            with self._alone():
                return self._strategy.observe()
        except _BusyError:
            return False


def _no_proof(intent: Intent, verdict: Verdict, message: str) -> Proof:
    return Proof(verdict=verdict, message=message, revision=intent.bad.revision, digests=(), took_s=0.0)
