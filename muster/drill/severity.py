"""How severe an incident was: by the alert that fired, else by what users felt against the ladder of the facts."""

from __future__ import annotations

from muster.drill.recorded import Evidence
from muster.system.units import Unit, show
from muster.timeline import Kind

SEVERITIES = ("critical", "warning", "info")
ERRORS, LATENCY = "error_ratio", "latency_p95"


def severity(evidence: Evidence) -> str:
    """The runbooks' word for it, and what says so; why it is not known, where nothing does."""
    expected = evidence.body["expected"].get("alert", "")
    after = evidence.injected.at if evidence.injected is not None else float("inf")
    fired = {str(e.data.get("alert")) for e in evidence.timeline.of(Kind.ALERT_FIRING) if e.at >= after}
    known = [name for name in evidence.system.alerts if name in fired]
    if known:
        name = expected if expected in known else min(known, key=lambda name: _rank(evidence, name))
        return f"{_word(evidence, name)}, as {name} says"
    if by_users := _by_users(evidence):
        return by_users
    if expected:
        return f"not known: {expected}, which would have said it, was not seen firing"
    return "not known: no alert was seen firing, and nothing else classifies it"


def _word(evidence: Evidence, name: str) -> str:
    alert = evidence.system.alerts[name]
    return f"{alert.severity.capitalize()}{f' ({alert.sev})' if alert.sev else ''}"


def _rank(evidence: Evidence, name: str) -> tuple[int, float]:
    """The most severe first, and of those the furthest rung."""
    return SEVERITIES.index(evidence.system.alerts[name].severity), -evidence.system.limit_of(name).bound


def _by_users(evidence: Evidence) -> str:
    """By the share of users' requests that failed since the fault; empty where nobody counted, or it says too little.

    It is an average from the fault to the end, so it is rather too low. Under every rung it is "info", unless a second
    was slow: that says that it was more, and not how much.
    """
    measured, alerts = evidence.body["measured"], evidence.system.alerts
    ratio, ladder = measured.get("user_error_ratio"), [name for name, one in alerts.items() if one.slo == ERRORS]
    if evidence.injected is None or ratio is None or not ladder:
        return ""
    felt = f"{ratio:.2%} of users' requests failed after the fault"
    over = [name for name in ladder if evidence.system.limit_of(name).holds(ratio)]
    if over:
        name = min(over, key=lambda name: _rank(evidence, name))
        about = f"{name} is about more than {show(evidence.system.limit_of(name).bound, Unit.RATIO)}"
        return f"{_word(evidence, name)}, by users: {felt}, and {about}; no alert was seen firing"
    felt += f", under every level of {ERRORS}"
    slow_ms, slo = measured.get("worst_p95_ms"), evidence.system.slo.get(LATENCY)
    limit = (slo.limit("warning") or slo.limit("critical")) if slo is not None else None
    if slow_ms is None or limit is None or not limit.holds(slow_ms / 1000):
        return f"Info, by users: {felt}; no alert was seen firing"
    return f"not known: no alert was seen firing; {felt}, but in the slowest second their P95 was {slow_ms:.0f} ms"
