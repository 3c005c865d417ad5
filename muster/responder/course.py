"""The course of what was decided: begun, proven, the symptom watched; what fails is escalated. It can be resumed.

Each stage is on record before the next begins. A crash costs the stage it happened in, and that stage can be repeated.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from muster.errors import Unknown
from muster.kube import KubeError
from muster.release import (
    CommandError,
    Proof,
    RollbackRefused,
    Stage,
    Symptom,
    apply_remedy,
    command_for,
    is_applied,
    prove_remedy,
    watch,
)
from muster.responder.errors import StoppedError
from muster.responder.escalate import Escalation
from muster.responder.journal import Journal
from muster.responder.lock import Intent, Last, Lock, LockLostError
from muster.responder.strategy import Strategy, World
from muster.system.freeze import frozen
from muster.system.rollback import Remedy
from muster.system.units import duration
from muster.timeline import Kind
from muster.verdict import Verdict

_RETRIES_S = (0.2, 0.5, 1.0, 2.0)  # pauses while a request that may be made twice meets an error that may pass
_GIVE_UP_S = 900.0  # an intent older than this is not begun any more: people have long been paged, and may have acted


@dataclass(frozen=True, kw_only=True)
class Course:
    """Carries an intent out, holding the lock that it is written in."""

    world: World
    strategy: Strategy
    lock: Lock
    journal: Journal
    escalation: Escalation
    stop: threading.Event

    def run(self, intent: Intent) -> None:
        """To the end, or as far as it can be now: what cannot be finished stays in the Lease for a successor."""
        try:
            if intent.remedy:
                self._remedy(intent)
            else:
                self._rollback(intent)
        except (StoppedError, LockLostError) as error:
            self.journal.note(intent, f"left to whoever comes next: {error}")

    # -- rollback -------------------------------------------------------------------------------------------------

    def _rollback(self, intent: Intent) -> None:
        proven = self.journal.outcome(intent, Kind.ROLLBACK_PROVEN)
        if proven is None and intent.proven:  # by a responder whose audit is another one
            proven = Verdict.PASS, f"{intent.target} was proven to serve"
        if proven is None:
            proof = self._begin_and_prove(intent)
            if proof.verdict is Verdict.UNKNOWN and time.time() - intent.decided_at > _GIVE_UP_S:
                proof = _no_proof(intent, Verdict.FAIL, f"given up after {_GIVE_UP_S:g}s: {proof.message}")
            self.journal.proven(intent, proof)
            proven = proof.verdict, proof.message
            if proof.verdict is Verdict.PASS:
                self._mark(replace(intent, proven=True))
        verdict, message = proven
        if verdict is Verdict.PASS:
            verdict, message = self._symptom(intent)
        elif verdict is Verdict.UNKNOWN:
            self.escalation.page(intent.alert, intent.key, f"whether the rollback worked is not known: {message}")
            return
        if verdict is not Verdict.PASS:
            self.escalation.page(intent.alert, intent.key, message)
        self._finish(intent, verdict)

    def _begin_and_prove(self, intent: Intent) -> Proof:
        try:
            return self._begin(intent) or self._prove(intent)
        except CommandError as error:
            return _no_proof(intent, Verdict.FAIL, str(error))
        except (KubeError, Unknown) as error:
            return _no_proof(intent, Verdict.FAIL if _is_refusal(error) else Verdict.UNKNOWN, str(error))

    def _begin(self, intent: Intent) -> Proof | None:
        """Begin it, unless an earlier run has; the FAIL when it is refused now, else None."""
        if intent.begun:
            return None
        late = self._too_late(intent)
        if late:  # what an earlier run has done is owed its proof, and what people did instead is judged by the same
            return None if self.strategy.overtaken(intent.bad) else _no_proof(intent, Verdict.FAIL, late)
        try:
            if self.strategy.once:
                self._announce(intent)
            self.strategy.roll_back(intent.bad, intent.target, self._alive)
        except RollbackRefused as error:
            if self.strategy.look().current.template_hash == intent.target.template_hash:
                return None  # begun before the crash
            return _no_proof(intent, Verdict.FAIL, str(error))
        if not self.strategy.once:
            self.journal.started(intent)
        return None

    def _announce(self, intent: Intent) -> None:
        """Write that it is begun, as the last thing before it is: from then on nobody begins it (again).

        So what may fail is asked before. A mark that was not answered may be there: it is written again, for left alone
        it would keep the rollback from being begun at all.
        """
        why = self.strategy.overtaken(intent.bad)
        if why:
            raise RollbackRefused(why)
        self._insist(lambda: self.lock.mark(replace(intent, begun=True)))
        self.journal.started(intent)

    def _too_late(self, intent: Intent) -> str:
        """Why what was decided is not begun any more, in a sentence; empty while it is."""
        now = time.time()
        why = frozen(self.world.env.freeze, now)
        if now - intent.decided_at > _GIVE_UP_S:
            why = f"it was decided {duration(round(now - intent.decided_at))} ago, and people may have mended it since"
        return f"not taken up any more, because {why}" if why else ""

    def _prove(self, intent: Intent) -> Proof:
        off = False

        def _tick(stage: Stage) -> None:
            nonlocal off
            if stage.traffic_off and not off:
                off = True
                self.journal.traffic_off(intent, stage)
            self._alive()

        return self.strategy.prove(intent.bad, intent.target, _tick)

    def _symptom(self, intent: Intent) -> tuple[Verdict, str]:
        seen = self.journal.outcome(intent, Kind.SYMPTOM_GONE)
        if seen is not None:
            return seen
        world = self.world
        symptom: Symptom = watch(world.monitor, world.system, world.env, intent.alert, tick=self._alive_somehow)
        self.journal.symptom(intent, symptom)
        return symptom.verdict, symptom.message

    def _finish(self, intent: Intent, verdict: Verdict) -> None:
        """Remember the bad release and give the lock up. When that fails, a successor does it."""
        last = Last(
            at=intent.decided_at,
            alert=intent.alert,
            from_revision=intent.bad.revision,
            to_revision=intent.target.revision,
            verdict=verdict.value,
            key=intent.key,
        )
        try:
            self.strategy.remember(intent.bad, intent.decided_at)
        except KubeError as error:
            self.journal.note(intent, f"{intent.bad} is not remembered as rolled back: {error}")
        self._give_up_lock(intent, last=last)

    # -- restart, scale -------------------------------------------------------------------------------------------

    def _remedy(self, intent: Intent) -> None:
        world, remedy = self.world, _remedy_of(intent)
        if self.journal.outcome(intent, Kind.REMEDY_PROVEN) is None:
            try:
                verdict, message = Verdict.FAIL, self._apply(intent, remedy)
                if not message:
                    done = prove_remedy(
                        world.kube, world.env, remedy, replicas=intent.replicas, tick=self._alive_somehow
                    )
                    verdict, message = done.verdict, done.message
            except KubeError as error:
                verdict, message = Verdict.FAIL, str(error)
                if not _is_refusal(error) and time.time() - intent.decided_at <= _GIVE_UP_S:
                    self.journal.note(intent, f"the {remedy} is tried again: {error}")
                    return  # the intent stays in the Lease, and is resumed
            self.journal.remedy_proven(intent, verdict, message)
        self._give_up_lock(intent, remedied=(intent.remedy, intent.decided_at))

    def _apply(self, intent: Intent, remedy: Remedy) -> str:
        """Ask for it; twice is once. Why it is not asked for any more, or "". Raises as :meth:`_insist` does."""
        kube, env, late = self.world.kube, self.world.env, self._too_late(intent)
        if late:
            return "" if is_applied(kube, env, remedy, at=intent.decided_at, replicas=intent.replicas) else late
        self._insist(lambda: apply_remedy(kube, env, remedy, at=intent.decided_at, replicas=intent.replicas))
        self.journal.remedy_started(intent, command_for(self.world.system, env, remedy))
        return ""

    def _insist(self, ask: Callable[[], None]) -> None:
        """Ask, again while the error may pass. Raises KubeError, StoppedError, LockLostError."""
        for pause_s in (*_RETRIES_S, None):
            try:
                ask()
            except KubeError as error:
                if _is_refusal(error) or pause_s is None:
                    raise
                self.stop.wait(pause_s)
                self._alive_somehow()
            else:
                return

    # -- the lock -------------------------------------------------------------------------------------------------

    def _alive(self) -> None:
        """Still wanted, and still the holder. Raises StoppedError, LockLostError, KubeError."""
        if self.stop.is_set():
            raise StoppedError("the responder was stopped")
        self.lock.renew()

    def _alive_somehow(self) -> None:
        """As :meth:`_alive`; an API that does not answer for a moment is no reason to stop looking."""
        try:
            self._alive()
        except KubeError as error:
            if error.status and error.status < 500:
                raise LockLostError(str(error)) from error

    def _mark(self, intent: Intent) -> None:
        """Write how far it is come, for a successor; one that cannot read it repeats the stage."""
        try:
            self.lock.mark(intent)
        except KubeError as error:
            self.journal.note(intent, f"the lock does not say yet that it is proven: {error}")

    def _give_up_lock(
        self, intent: Intent, *, last: Last | None = None, remedied: tuple[str, float] | None = None
    ) -> None:
        try:
            self.lock.release(last, deployment=intent.bad.deployment, remedied=remedied)
        except (KubeError, LockLostError) as error:
            self.journal.note(intent, f"the lock could not be given up yet: {error}")


def _is_refusal(error: KubeError | Unknown) -> bool:
    """Whether the API will say the same again; any other error may pass."""
    return isinstance(error, KubeError) and 400 <= error.status < 500 and error.status not in (408, 409, 429)


def _remedy_of(intent: Intent) -> Remedy:
    return "scale" if intent.remedy == "scale" else "restart"


def _no_proof(intent: Intent, verdict: Verdict, message: str) -> Proof:
    return Proof(verdict=verdict, message=message, revision=intent.bad.revision, digests=(), took_s=0.0)
