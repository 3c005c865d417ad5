"""What people call a runbook section, and what it says to do."""

from __future__ import annotations

from muster.system.model import System

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


def next_step(system: System, anchor: str) -> str:
    """What the section's most severe alert asks for: ``roll back at once, tell on-call, security``; "" without one."""
    alerts = [alert for alert in system.alerts.values() if alert.runbook == anchor]
    if not alerts:
        return ""
    levels = ("rollback", "critical", "warning", "objective")
    worst = min(alerts, key=lambda alert: levels.index(alert.level))
    return ", ".join(part for part in (_DO[worst.action], f"tell {', '.join(worst.tell)}") if part)
