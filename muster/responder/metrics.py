"""The responder's own figures for Prometheus, counted from its audit, so that they survive a restart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.timeline import Kind

_COUNTED = {
    Kind.DECIDED.value: ("muster_responder_decisions_total", ("decision", "refusal")),
    Kind.ROLLBACK_PROVEN.value: ("muster_responder_rollbacks_total", ("verdict",)),
    Kind.SYMPTOM_GONE.value: ("muster_responder_symptoms_total", ("verdict",)),
    Kind.REMEDY_PROVEN.value: ("muster_responder_remedies_total", ("remedy", "verdict")),
    Kind.ESCALATED.value: ("muster_responder_escalations_total", ("delivered",)),
}
_HELP = {
    "muster_responder_decisions_total": "Decisions about alerts, by what was decided and why it was refused.",
    "muster_responder_rollbacks_total": "Rollbacks that were judged, by the verdict of their proof.",
    "muster_responder_symptoms_total": "Symptoms that were read back after a proven rollback.",
    "muster_responder_remedies_total": "Restarts and scalings that were carried out.",
    "muster_responder_escalations_total": "Failed rollbacks that people were paged for, or could not be.",
}


Series = tuple[str, tuple[tuple[str, str], ...]]


def counted(record: Mapping[str, Any]) -> Series | None:
    """The counter that a record of the audit adds to, with its labels; None when none counts it."""
    if record.get("kind") not in _COUNTED:
        return None
    name, labels = _COUNTED[record["kind"]]
    data = record.get("data") or {}
    return name, tuple((label, str(data.get(label, "")).lower()) for label in labels)


def exposition(counts: Mapping[Series, int], *, silent_s: float, held: bool, undelivered: int) -> str:
    """The text format of ``/metrics``.

    Args:
        counts: The audit's, of all its records.
        silent_s: For how long the Kubernetes API has not answered.
        held: Whether somebody holds the lock.
        undelivered: Escalations that Alertmanager has not taken yet.
    """
    lines = []
    for name, text in _HELP.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} counter"]
        lines += [f"{name}{_labels(labels)} {n}" for (metric, labels), n in sorted(counts.items()) if metric == name]
    for name, text, value in (
        ("muster_responder_api_silent_seconds", "Since the Kubernetes API last answered.", round(silent_s, 3)),
        ("muster_responder_lock_held", "Whether a responder holds the lock of this deployment.", int(held)),
        ("muster_responder_escalations_undelivered", "Pages that Alertmanager has not taken yet.", undelivered),
    ):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value}"]
    return "\n".join(lines) + "\n"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
