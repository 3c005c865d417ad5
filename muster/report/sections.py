"""What people call a runbook section, and what it says to do."""

from __future__ import annotations

from muster.report.runbook import section_of
from muster.system.model import LEVELS, System

_SHOUTED = {"pqc": "PQC", "cpu": "CPU", "p95": "P95", "slo": "SLO", "tls": "TLS"}
_DO = {
    "rollback": "roll back at once",
    "restart": "restart the deployment",
    "scale": "scale up",
    "escalate": "escalate",
    "none": "",
}


def section_title(anchor: str) -> str:
    """``PQC handshake failure`` of ``x0tta6bl4#pqc-handshake-failure``."""
    words = [_SHOUTED.get(word, word) for word in anchor.partition("#")[2].split("-")]
    title = " ".join(words) or "Other"
    return title[:1].upper() + title[1:]


def alert_of(system: System, anchor: str, slo: str = "", level: str = "") -> str:
    """The alert that a finding is about; "" without one.

    That of the broken level where an SLO's limit was broken, else the section's lowest rung: what the runbook does
    first. Nobody is told to roll back over less than what rolls back.
    """
    names = [name for name, alert in system.alerts.items() if anchor and alert.runbook == anchor]
    exact = [name for name in names if (system.alerts[name].slo, system.alerts[name].level) == (slo, level)]
    return min(exact or names, key=lambda name: LEVELS.index(system.alerts[name].level), default="")


def next_step(system: System, alert: str) -> str:
    """What the facts ask for when that alert is due: ``roll back at once, tell on-call, security``."""
    if not alert:
        return ""
    entry = system.alerts[alert]
    return ", ".join(part for part in (_DO[entry.action], f"tell {', '.join(entry.tell)}") if part)


def advice(system: System, anchor: str, step: int, alert: str, *, due: bool) -> str:
    """What to do about a check that failed; "" where the runbook says nothing of it.

    Where an alert is ``due`` (its limit is broken, or it fires), it is what the alert asks for. Anything else is looked
    into first, as the step says that the check encodes: "scale up" is no answer to a quota without room, and an alert
    that can never fire is none to roll back. A section that knows nothing but rolling back means that in each step.
    """
    if due or (step and alert and system.alerts[alert].action == "rollback"):
        return next_step(system, alert)
    section = section_of(system, anchor) if step else None
    return next((known.text for known in section.steps if known.number == step), "") if section else ""


def advice_on_silence(system: System) -> str:
    """What to do about an alert that can never fire: the last step of the runbook's section on absent data."""
    section = section_of(system, system.no_data.runbook)
    return section.steps[-1].text if section and section.steps else ""
