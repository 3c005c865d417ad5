"""What a drill took: durations between the events that its timeline holds, and what its users saw."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from muster.judge.chain import start, visible
from muster.judge.link import Link, since_injection
from muster.judge.objectives import Objectives
from muster.timeline import Kind, Timeline


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Durations in seconds; None where an end of the interval was not seen."""

    visible_s: float | None = None  # fault in force -> scraped by Prometheus, where the alert had to wait for that
    detect_s: float | None = None  # fault in force -> alert firing
    detect_from_injection_s: float | None = None  # fault injected -> alert firing
    page_s: float | None = None  # alert firing -> the pager's receipt
    webhook_s: float | None = None  # fault in force -> the responder's receipt of the webhook
    overhead_s: float | None = None  # fault visible to Prometheus -> webhook (page, without one), less the window
    find_s: float | None = None  # fault in force -> every expected check had failed
    decide_s: float | None = None  # webhook -> decision
    traffic_off_s: float | None = None  # webhook -> no ready replica of the bad release
    rollback_s: float | None = None  # webhook -> proven rollback
    recover_s: float | None = None  # webhook (undo by hand, else fault) -> steady state seen again
    total_s: float | None = None  # fault injected -> steady state seen again
    window_s: float = 0.0  # the alert's own window at this environment's scale
    predicted_s: tuple[float, float] | None = None  # fault -> webhook, as every window and interval promises
    user_requests: int | None = None  # from the fault to the end
    user_errors: int | None = None
    user_error_ratio: float | None = None
    worst_p95_ms: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For timeline.json: milliseconds are enough."""
        return {name: _rounded(value, 5 if name.endswith("ratio") else 3) for name, value in asdict(self).items()}


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, tuple):
        return [round(item, digits) for item in value]
    return None if value is None else round(value, digits)


def measure(
    timeline: Timeline,
    objectives: Objectives,
    links: tuple[Link, ...],
    *,
    window_s: float = 0.0,
    predicted_s: tuple[float, float] | None = None,
) -> Measured:
    """The durations between the events that were seen."""
    at = {link.name: link.event.at for link in links if link.event}
    injected, fault = since_injection(timeline), start(timeline)
    off = timeline.first(Kind.TRAFFIC_OFF, after=at.get("webhook", float("inf")))
    webhook_s = _between(fault, at.get("webhook"))
    told_at = at.get("webhook", at.get("page"))
    begins = {"rollback": at.get("webhook"), "by-hand": at.get("undo"), "none": injected}[objectives.action]
    total = _Users.of(timeline, injected)
    return Measured(
        visible_s=_between(fault, visible(timeline, objectives)),
        detect_s=_between(fault, at.get("alert")),
        detect_from_injection_s=_between(injected, at.get("alert")),
        page_s=_between(at.get("alert"), at.get("page")),
        webhook_s=webhook_s,
        overhead_s=_less(_between(visible(timeline, objectives), told_at), window_s),
        find_s=_between(fault, at.get("finding")),
        decide_s=_between(at.get("webhook"), at.get("decision")),
        traffic_off_s=_between(at.get("webhook"), off.at if off else None),
        rollback_s=_between(at.get("webhook"), at.get("proof")),
        recover_s=_between(begins, at.get("recovery")),
        total_s=_between(injected, at.get("recovery")),
        window_s=window_s,
        predicted_s=predicted_s,
        user_requests=total.requests,
        user_errors=total.errors,
        user_error_ratio=total.ratio,
        worst_p95_ms=total.worst_p95_ms,
    )


def _between(start_at: float | None, end_at: float | None) -> float | None:
    if start_at is None or end_at is None or start_at == float("inf"):
        return None
    return end_at - start_at


def _less(seconds: float | None, window_s: float) -> float | None:
    return None if seconds is None else seconds - window_s


@dataclass(frozen=True)
class _Users:
    """What users saw from one instant on."""

    requests: int | None
    errors: int | None
    worst_p95_ms: float | None

    @classmethod
    def of(cls, timeline: Timeline, since: float) -> _Users:
        seconds = [event.data for event in timeline.of(Kind.TRAFFIC) if event.at >= since]
        if not seconds:
            return cls(None, None, None)
        p95 = [float(second["p95_ms"]) for second in seconds if second.get("p95_ms") is not None]
        return cls(
            sum(int(second["requests"]) for second in seconds),
            sum(int(second["errors"]) for second in seconds),
            max(p95, default=None),
        )

    @property
    def ratio(self) -> float | None:
        return self.errors / self.requests if self.requests and self.errors is not None else None
