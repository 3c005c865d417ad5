"""What the responder does with an alert: decide, lock, carry out, record. Synchronous; runs in a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from muster.errors import Unknown
from muster.kube import Kube, KubeError
from muster.release import Monitor, condition_of, no_longer, patience_s
from muster.responder.audit import Audit
from muster.responder.compare import compare
from muster.responder.course import Course
from muster.responder.decide import (
    DAY_S,
    UNDER_WAY,
    UNKNOWN,
    Refusal,
    Situation,
    fault_began,
    misdirected,
    of_canary,
    refusal,
)
from muster.responder.errors import BusyError
from muster.responder.escalate import Escalation
from muster.responder.journal import Journal
from muster.responder.lock import Intent, Lock, LockLostError, LockState
from muster.responder.pulse import Pulse
from muster.responder.remedies import Remedies
from muster.responder.strategy import STRATEGIES, View, World
from muster.responder.webhook import Alert
from muster.system import Environment, System, promql
from muster.system.freeze import frozen
from muster.system.model import KubernetesSource
from muster.system.promql import CANARY
from muster.verdict import Verdict

_LOG = logging.getLogger("muster.responder")
_RETRIES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # pauses while the API cannot be read; Alertmanager repeats after that
_LOOKS_S = 15.0  # the longest that a few requests of another thread may take


@dataclass
class Responder:
    """The responder's work for one environment. Several threads may call it; one thing at a time is carried out."""

    system: System
    env: Environment
    source: KubernetesSource
    kube: Kube
    monitor: Monitor
    audit: Audit
    me: str  # see Lock
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.world = World(kube=self.kube, monitor=self.monitor, system=self.system, env=self.env)
        self._strategies = {
            name: STRATEGIES[name](self.world)
            for name in {self.env.rollback.strategy, *([CANARY] if self.env.rollback.canary else [])}
        }
        self._lock = Lock(self.kube, self.source.namespace, self.source.deployment, self.me)
        self._journal = Journal(self.audit, self.kube, self.source)
        self.escalation = Escalation(self.system, self.env, self.monitor, self._journal, self.audit)
        self.pulse = Pulse(self._lock)
        self._course = Course(
            world=self.world,
            strategy=self._strategies[self.env.rollback.strategy],
            lock=self._lock,
            journal=self._journal,
            escalation=self.escalation,
            stop=self.stop,
        )
        self._remedies = Remedies(self.world, self._journal)
        self._mutex = threading.Lock()  # the Lease guards against others, this against ourselves
        self._under_way = False
        self._notes, self._left_open = threading.Lock(), dict[str, Refusal]()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Alone with the cluster: short looks of other threads are waited for, what is under way is not."""
        deadline = time.monotonic() + _LOOKS_S
        while not self._mutex.acquire(timeout=0.02):
            if self._under_way or time.monotonic() > deadline:
                raise BusyError("a rollback is already under way, carried out by this responder")
        try:
            yield
        finally:
            self._mutex.release()

    # -- alerts ---------------------------------------------------------------------------------------------------

    def handle(self, alert: Alert, late: bool = False) -> bool:
        """Decide on one firing alert and carry it out; whether that is final for this occurrence of the alert.

        ``late``: nobody has just said that it fires. It is what a restart took up, or what was refused a while ago.
        """
        reason = misdirected(alert, self.system, self.env)
        if reason:
            return self._refuse(alert, Refusal("misdirected", reason, passing=False))
        remedy = self._remedies.asked(alert)
        if alert.action != "rollback" and (remedy is None or remedy not in self.env.rollback.allow):
            self._remedies.propose(alert, remedy)
            return True
        return self._persist(alert, self._decide if remedy is None else self._decide_remedy, late=late)

    def left_open(self, alert: Alert) -> Refusal | None:
        """Why this occurrence was left open by a reason that is looked at again by itself; told once."""
        with self._notes:
            return self._left_open.pop(alert.key, None)

    def _persist(self, alert: Alert, decide: Callable[[Alert, LockState], bool], *, late: bool) -> bool:
        """Decide, again and again while the API cannot be read, within a bound."""
        for pause_s in (*_RETRIES_S, None):
            try:
                with self._alone():
                    state = self._after_resuming()
                    if self._journal.settled(alert):
                        return True  # it is what was resumed, and an occurrence is acted on once
                    no = self._healed(alert) if late else None
                    return decide(alert, state) if no is None else self._refuse(alert, no)
            except (BusyError, LockLostError) as error:
                ends_at = time.time() + self._work_s
                return self._refuse(alert, Refusal(UNDER_WAY, str(error), passing=True, ends_at=ends_at))
            except (KubeError, Unknown) as error:
                if pause_s is None or self.stop.wait(pause_s):
                    return self._refuse(
                        alert, Refusal(UNKNOWN, str(error), passing=True), verdict=Verdict.UNKNOWN.value
                    )
                _LOG.warning("%s: %s; trying again", alert.name, error)
        raise AssertionError  # the last pause is None

    def _healed(self, alert: Alert) -> Refusal | None:
        """That what an alert asked for a while ago is not wanted now: its condition does not hold any more.

        Where Prometheus cannot tell, the trigger stands, as in a comparison: it was explicit, and nobody took it back.
        """
        env = promql.of_canary(self.env) if of_canary(alert) else None
        why = no_longer(self.monitor, self.system, env or self.env, alert.name)
        return Refusal("symptom gone", why, passing=True) if why else None

    def _decide(self, alert: Alert, state: LockState) -> bool:
        way = self._strategies[CANARY if of_canary(alert) else self.env.rollback.strategy]
        try:
            view = way.look()
        except KubeError as error:
            if way.acts or error.status != HTTPStatus.NOT_FOUND:
                raise
            self._journal.watched(alert, f"what an undo would go back to is not known: {error}")
            return True
        situation = self._situation(alert, state, view)
        no = refusal(situation)
        if no is None:  # only now Prometheus is asked: nothing else speaks against it
            comparison = compare(
                self.monitor,
                self.env,
                condition_of(self.system, alert.name),
                suspects=view.suspects,
                baseline=view.baseline,
                released=view.served_since,
            )
            situation = replace(situation, comparison=comparison)
            no = refusal(situation)
        compared = situation.comparison.record() if situation.comparison else None
        if no is not None:
            return self._refuse(alert, no, revision=view.current.revision, comparison=compared)
        assert view.previous is not None  # noqa: S101 - without one there is an obstacle, and that is refused
        intent = Intent(alert=alert.name, key=alert.key, bad=view.current, target=view.previous, decided_at=time.time())
        message = f"{intent.bad} goes back to {intent.target}{_but(situation, view)}"
        if not way.acts:
            self._journal.watched(alert, message, comparison=compared)
            return True
        self._lock.take(state, intent)
        self._journal.decided(alert, "roll back", message, final=True, comparison=compared, keeper=view.keeper)
        self._carry_out(intent)
        return True

    def _decide_remedy(self, alert: Alert, state: LockState) -> bool:
        intent = self._remedies.decide(alert, state, self._lock.others(state), work_s=self._work_s)
        if isinstance(intent, Refusal):
            return self._refuse(alert, intent)
        self._lock.take(state, intent)
        self._remedies.decided(alert, intent)
        self._carry_out(intent)
        return True

    def _after_resuming(self) -> LockState:
        """The lock as it is once what an earlier run left there is done."""
        state = self._lock.read()
        if state.intent is not None and not self._lock.others(state):
            self._resume(state, state.intent)
            state = self._lock.read()
        return state

    def _refuse(self, alert: Alert, no: Refusal, **data: object) -> bool:
        self._journal.refused(alert, no, **data)
        if no.name == UNKNOWN or no.ends_at:
            with self._notes:
                self._left_open[alert.key] = no
        return not no.passing

    @property
    def _work_s(self) -> float:
        """The longest that a rollback takes from its decision to the end of its watch; remedies take less."""
        canary, command = self.env.rollback.canary, self.env.rollback.command
        begin_s = self.env.scaled(canary.drain_s if canary else 0.0) + (command.timeout_s if command else 0.0)
        return begin_s + self.env.rollback.timeout_s + patience_s(self.env)

    def _situation(self, alert: Alert, state: LockState, view: View) -> Situation:
        rollback, now = self.env.rollback, time.time()
        memory = self._lock.memory(state, view.current.deployment)
        return Situation(
            alert=alert,
            now=now,
            current=view.current,
            previous=view.previous,
            obstacle=view.obstacle,
            lock_holder=self._lock.others(state),
            work_s=self._work_s,
            last=memory.last,
            cool_down_s=self.env.scaled(rollback.cool_down_s),
            fault_began=fault_began(alert, self.system, self.env),
            known=view.known,
            begun=memory.begun,
            most_per_day=rollback.most_per_day,
            day_s=self.env.scaled(DAY_S),
            frozen=frozen(self.env.freeze, now),
            served_since=view.served_since,
            release_margin_s=self.env.scaled(rollback.release_margin_s),
        )

    # -- what was decided -----------------------------------------------------------------------------------------

    def resume(self) -> bool:
        """Take up what a crash left between lock and proof; whether there was anything. Raises KubeError."""
        try:
            with self._alone():
                state = self._lock.read()
                if state.intent is None or self._lock.others(state):
                    return False
                self._resume(state, state.intent)
                return True
        except (BusyError, LockLostError) as error:
            _LOG.info("nothing resumed: %s", error)
            return False

    def _resume(self, state: LockState, intent: Intent) -> None:
        self._lock.take(state, intent)
        self._journal.resumed(intent)
        self._carry_out(intent)

    def _carry_out(self, intent: Intent) -> None:
        """From the intent to the verdict. What cannot be finished now stays in the Lease for :meth:`resume`."""
        self._under_way = True
        try:
            self._course_of(intent).run(intent)
        finally:
            self._under_way = False

    def _course_of(self, intent: Intent) -> Course:
        """By the Deployment that is at fault: after a crash nothing else tells a canary from the stable release."""
        canary = self.env.rollback.canary
        if canary is None or intent.remedy or intent.bad.deployment != canary.deployment:
            return self._course
        return replace(self._course, strategy=self._strategies[CANARY])

    def observe(self) -> bool:
        """Remember which build serves now, unless something is under way; whether one does. Raises KubeError."""
        try:
            with self._alone():
                return self._course.strategy.observe()
        except BusyError:
            return False


def _but(situation: Situation, view: View) -> str:
    """What else whoever reads of a rollback should know: that nothing was compared, and who may revert it."""
    compared = situation.comparison
    unsure = f"; {compared.message}" if compared is not None and compared.blames is None else ""
    keeps = f"; {view.keeper} keeps this deployment, and may revert it as long as git has the bad release"
    return unsure + (keeps if view.keeper else "")
