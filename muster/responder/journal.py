"""How the responder keeps its record: audit lines in the timeline's words, and Kubernetes Events."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from muster.kube import Kube, KubeError
from muster.release import Proof, Stage, Symptom
from muster.responder.audit import Audit, AuditError
from muster.responder.decide import Refusal
from muster.responder.events import Reason, post_event
from muster.responder.lock import Intent
from muster.responder.webhook import Alert
from muster.system.model import KubernetesSource
from muster.timeline import Kind
from muster.verdict import Verdict

_LOG = logging.getLogger("muster.responder")
WATCHED = "would roll back"  # the decision where somebody else carries it out


@dataclass(frozen=True)
class Journal:
    """Writes what happened. A record that cannot be written is logged: it must not stop a rollback under way."""

    audit: Audit
    kube: Kube
    source: KubernetesSource

    def decided(self, alert: Alert, decision: str, reason: str, *, final: bool, **data: Any) -> None:
        """A decision: roll back, refuse or propose. ``final`` is whether a repetition of the alert changes nothing."""
        self._note(
            Kind.DECIDED,
            alert.name,
            f"{decision}: {reason}",
            key=alert.key,
            decision=decision,
            reason=reason,
            final=final,
            **data,
        )

    def refused(self, alert: Alert, no: Refusal, **data: Any) -> None:
        """A decision not to do what the alert asks for, with its Event."""
        again = {"again_at": no.ends_at} if no.ends_at else {}
        self.decided(alert, "refuse", no.message, final=not no.passing, refusal=no.name, **again, **data)
        rollback = alert.action == "rollback"
        self._event("RollbackRefused" if rollback else "RemedyRefused", alert.name, no.message)

    def proposed(self, alert: Alert, reason: str, **data: Any) -> None:
        """A remedy that people may carry out, with its Event; an alert that asks for none has no Event."""
        self.decided(alert, "propose", reason, final=True, **data)
        if "command" in data:
            self._event("RemedyProposed", alert.name, reason)

    def watched(self, alert: Alert, deed: str, **data: Any) -> None:
        """What would be done where somebody else rolls back, with its Event."""
        message = f"{deed}; carried out is nothing, the environment's rollback strategy is none"
        self.decided(alert, WATCHED, message, final=True, **data)
        self._event("WouldRollBack", alert.name, message)

    def resumed(self, intent: Intent) -> None:
        """An intent of an earlier run is taken up; a decision that it did not come to put on record is, now."""
        decision = intent.remedy or "roll back"
        if not any(record["data"].get("decision") == decision for record in self._records(Kind.DECIDED, intent)):
            told = {"key": intent.key, "decision": decision, "reason": _deed(intent), "final": True}
            self._note(Kind.DECIDED, intent.alert, f"{decision}: {_deed(intent)}, as another run decided", **told)
        self.note(intent, f"resumed: {_deed(intent)}")

    def started(self, intent: Intent) -> None:
        """The rollback is begun: the API has accepted the undo, or the command runs."""
        message = f"{intent.bad} -> {intent.target}"
        revisions = {"from_revision": intent.bad.revision, "to_revision": intent.target.revision}
        self._of(Kind.ROLLBACK_STARTED, intent, message, **revisions)
        self._event("RollingBack", intent.alert, _deed(intent))

    def traffic_off(self, intent: Intent, stage: Stage) -> None:
        """No serving pod of the bad release is left; recorded once."""
        if not any(self._records(Kind.TRAFFIC_OFF, intent)):
            message = f"no serving pod of revision {intent.bad.revision} is left, {stage.terminating} terminating"
            self._of(Kind.TRAFFIC_OFF, intent, message, terminating=stage.terminating)

    def proven(self, intent: Intent, proof: Proof) -> None:
        """What became of the rollback, with its Event."""
        self._of(
            Kind.ROLLBACK_PROVEN,
            intent,
            proof.message,
            verdict=proof.verdict.value,
            revision=proof.revision,
            digests=list(proof.digests),
            took_s=round(proof.took_s, 3),
        )
        self._event("RolledBack" if proof.verdict is Verdict.PASS else "RollbackFailed", intent.alert, proof.message)

    def symptom(self, intent: Intent, symptom: Symptom) -> None:
        """What became of the symptom after the proof, with its Event."""
        self._of(
            Kind.SYMPTOM_GONE,
            intent,
            symptom.message,
            verdict=symptom.verdict.value,
            value=symptom.value,
            took_s=round(symptom.took_s, 3),
        )
        gone = symptom.verdict is Verdict.PASS
        self._event("SymptomGone" if gone else "SymptomStayed", intent.alert, symptom.message)

    def escalated(self, alert: str, key: str, message: str, **data: Any) -> None:
        """People were paged (``delivered``), or could not be."""
        self._note(Kind.ESCALATED, alert, message, key=key, **data)
        self._event("Escalated", alert, message)

    def remedy_started(self, intent: Intent, command: str) -> None:
        """The API has accepted a restart or a scaling."""
        self._of(Kind.REMEDY_STARTED, intent, command, remedy=intent.remedy, command=command)
        self._event("RemedyStarted", intent.alert, command)

    def remedy_proven(self, intent: Intent, verdict: Verdict, message: str) -> None:
        """Whether a remedy took effect, with its Event."""
        self._of(Kind.REMEDY_PROVEN, intent, message, verdict=verdict.value, remedy=intent.remedy)
        self._event("RemedyDone" if verdict is Verdict.PASS else "RemedyFailed", intent.alert, message)

    def note(self, intent: Intent, message: str) -> None:
        """Anything else that whoever reads the audit should know."""
        self._of(Kind.NOTE, intent, message)

    def settled(self, alert: Alert) -> bool:
        """Whether this occurrence of the alert is decided for good, by what was resumed if not by itself."""
        return any(
            record["kind"] == Kind.DECIDED.value
            and record["data"].get("key") == alert.key
            and record["data"].get("final") is True
            for record in self.audit.since(0)
        )

    def outcome(self, intent: Intent, kind: Kind) -> tuple[Verdict, str] | None:
        """The verdict of that kind that an earlier run recorded for this intent, and its sentence. UNKNOWN is none."""
        for record in reversed(list(self._records(kind, intent))):
            verdict = Verdict(record["data"]["verdict"])
            if verdict is not Verdict.UNKNOWN:
                return verdict, str(record["message"])
        return None

    def _records(self, kind: Kind, intent: Intent) -> Iterator[dict[str, Any]]:
        for record in self.audit.since(intent.decided_at):
            if record["kind"] == kind.value and record["data"].get("key") == intent.key:
                yield record

    def _of(self, kind: Kind, intent: Intent, message: str, **data: Any) -> None:
        self._note(kind, intent.alert, message, key=intent.key, **data)

    def _note(self, kind: Kind, alert: str, message: str, **data: Any) -> None:
        _LOG.info("%s %s: %s", kind.value, alert, message)
        try:
            self.audit.append(kind, alert=alert, message=message, **data)
        except AuditError as error:
            _LOG.error("%s", error)

    def _event(self, reason: Reason, alert: str, message: str) -> None:
        try:
            post_event(self.kube, self.source, reason, f"{alert}: {message}")
        except KubeError as error:
            _LOG.warning("no Kubernetes Event %s: %s", reason, error)


def _deed(intent: Intent) -> str:
    if intent.remedy:
        return f"{intent.remedy} of {intent.bad.deployment}"
    return f"{intent.bad} goes back to {intent.target}"
