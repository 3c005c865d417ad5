"""How the responder keeps its record: audit lines in the timeline's words, and Kubernetes Events."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from muster.kube import Kube, KubeError
from muster.release import Proof, Stage
from muster.responder.audit import Audit, AuditError
from muster.responder.decide import Refusal
from muster.responder.events import Reason, post_event
from muster.responder.lock import Intent
from muster.responder.webhook import Alert
from muster.system.model import KubernetesSource
from muster.timeline import Kind
from muster.verdict import Verdict

_LOG = logging.getLogger("muster.responder")


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
        """A decision not to roll back, with its Event."""
        self.decided(alert, "refuse", no.message, final=not no.passing, refusal=no.name, **data)
        self._event("RollbackRefused", alert.name, no.message)

    def resumed(self, intent: Intent) -> None:
        """An intent of an earlier run is taken up."""
        self.note(intent, f"resumed: {intent.bad} goes back to {intent.target}")

    def started(self, intent: Intent) -> None:
        """The API has accepted the undo."""
        self._of(
            Kind.ROLLBACK_STARTED,
            intent,
            f"{intent.bad} -> {intent.target}",
            from_revision=intent.bad.revision,
            to_revision=intent.target.revision,
        )

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

    def note(self, intent: Intent, message: str) -> None:
        """Anything else that whoever reads the audit should know."""
        self._of(Kind.NOTE, intent, message)

    def outcome(self, intent: Intent) -> Verdict | None:
        """The verdict that an earlier run recorded for this intent, if it had come so far. UNKNOWN is none."""
        verdicts = [Verdict(record["data"]["verdict"]) for record in self._records(Kind.ROLLBACK_PROVEN, intent)]
        return next((verdict for verdict in reversed(verdicts) if verdict is not Verdict.UNKNOWN), None)

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
