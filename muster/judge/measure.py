"""What a drill took: durations between the events that its timeline holds, and what its users saw."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from muster.judge.arrivals import Arrivals
from muster.judge.chain import in_force, seen
from muster.judge.clock import doubt
from muster.judge.link import Link, since_injection
from muster.judge.objectives import Objectives
from muster.timeline import Event, Kind, Timeline

TELLING_S = 0.01  # a doubt below it is not worth a word


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Durations in seconds; None where an end of the interval was not seen, or clocks do not let it be known."""

    visible_s: float | None = None  # fault in force -> scraped by Prometheus, where the alert had to wait for that
    detect_s: float | None = None  # fault in force -> alert firing
    detect_from_injection_s: float | None = None  # fault injected -> alert firing
    page_s: float | None = None  # alert firing -> the pager's receipt
    also_page_s: dict[str, float | None] = field(default_factory=dict)  # the same of each further contact
    webhook_s: float | None = None  # fault in force -> the responder's receipt of the webhook
    word_s: float | None = None  # fault visible to Prometheus -> webhook (page, without one)
    overhead_s: float | None = None  # the same less the window
    find_s: float | None = None  # fault in force -> every expected check had failed
    decide_s: float | None = None  # webhook -> decision
    traffic_off_s: float | None = None  # webhook -> no ready replica of the bad release
    rollback_s: float | None = None  # webhook -> proven rollback
    recover_s: float | None = None  # webhook (undo by hand, else fault) -> steady state seen again
    total_s: float | None = None  # fault injected -> steady state seen again
    window_s: float = 0.0  # the alert's own window at this environment's scale
    predicted_s: tuple[float, float] | None = None  # fault -> webhook, as every window and interval promises
    bounds_s: dict[str, float] = field(default_factory=dict)  # duration -> how far clocks may have it wrong
    unmeasured: dict[str, str] = field(default_factory=dict)  # duration -> why it is not known though both ends are
    user_requests: int | None = None  # from the fault to the end, with those that the system let nobody send
    user_errors: int | None = None  # the same
    user_error_ratio: float | None = None
    user_due: int | None = None  # by the schedule
    user_unsent: int | None = None  # of these never sent, whoever is to blame
    worst_p95_ms: float | None = None
    worst_second: dict[str, float] | None = None  # after_s (the fault), requests, errors: the most errors in a second
    impact_s: float | None = (
        None  # in how many seconds requests failed, were not answered, or were slower than promised
    )

    def as_dict(self) -> dict[str, Any]:
        """For timeline.json: milliseconds are enough."""
        return {name: _rounded(value, 5 if name.endswith("ratio") else 3) for name, value in asdict(self).items()}


def _rounded(value: Any, digits: int) -> Any:
    match value:
        case tuple():
            return [round(item, digits) for item in value]
        case dict():
            return {name: _rounded(item, digits) for name, item in value.items()}
        case float():
            return round(value, digits)
    return value


def measure(
    timeline: Timeline,
    objectives: Objectives,
    links: tuple[Link, ...],
    *,
    window_s: float = 0.0,
    predicted_s: tuple[float, float] | None = None,
    arrived: Arrivals | None = None,
) -> Measured:
    """The durations between the events that were seen, and what users saw; ``arrived`` is how they came."""
    at = {link.name: link.event for link in links}
    injected, fault, visible = timeline.first(Kind.FAULT_INJECTED), in_force(timeline), seen(timeline, objectives)
    webhook = at.get("webhook")
    off = timeline.first(Kind.TRAFFIC_OFF, after=webhook.at) if webhook else None
    begins = {"rollback": webhook, "by-hand": at.get("undo"), "none": injected}[objectives.action]
    spans = _Spans(timeline)
    word_s = spans.between("word_s", visible, webhook or at.get("page"))
    if word_s is None and "word_s" in spans.unmeasured:
        spans.unmeasured["overhead_s"] = spans.unmeasured["word_s"]
    elif "word_s" in spans.bounds_s:
        spans.bounds_s["overhead_s"] = spans.bounds_s["word_s"]
    return Measured(
        visible_s=spans.between("visible_s", fault, visible),
        detect_s=spans.between("detect_s", fault, at.get("alert")),
        detect_from_injection_s=spans.between("detect_from_injection_s", injected, at.get("alert")),
        page_s=spans.between("page_s", at.get("alert"), at.get("page")),
        also_page_s={
            who: spans.between(f"page_s {who}", at.get("alert"), at.get(f"page {who}")) for who in objectives.also_page
        },
        webhook_s=spans.between("webhook_s", fault, webhook),
        word_s=word_s,
        # Sooner than the window is no time over it.
        overhead_s=None if word_s is None else max(0.0, word_s - window_s),
        find_s=spans.between("find_s", fault, at.get("finding")),
        decide_s=spans.between("decide_s", webhook, at.get("decision")),
        traffic_off_s=spans.between("traffic_off_s", webhook, off),
        rollback_s=spans.between("rollback_s", webhook, at.get("proof")),
        recover_s=spans.between("recover_s", begins, at.get("recovery")),
        total_s=spans.between("total_s", injected, at.get("recovery")),
        window_s=window_s,
        predicted_s=predicted_s,
        bounds_s=spans.bounds_s,
        unmeasured=spans.unmeasured,
        **_users(timeline, objectives, arrived),
    )


class _Spans:
    """Durations between events, with what clocks leave in doubt about each."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.bounds_s: dict[str, float] = {}
        self.unmeasured: dict[str, str] = {}

    def between(self, name: str, first: Event | None, last: Event | None) -> float | None:
        """Seconds from one to the other. Never negative: a fault confirmed after its effect was in force before it."""
        if first is None or last is None:
            return None
        doubtful = doubt(self._timeline, first, last)
        if doubtful.unknown:
            self.unmeasured[name] = f"{doubtful.unknown} does not say what time it has, so its stamps prove no duration"
            return None
        if doubtful.bound_s >= TELLING_S:
            self.bounds_s[name] = doubtful.bound_s
        return max(0.0, last.at - first.at)


def _users(timeline: Timeline, objectives: Objectives, arrived: Arrivals | None) -> dict[str, Any]:
    """What users saw from the fault on. A request that the system let nobody send has failed."""
    since = since_injection(timeline)
    events = [event for event in timeline.of(Kind.TRAFFIC) if event.at >= since]
    if not events:
        return {}
    blame = arrived is not None and not arrived.doubt
    unsent = {event.at: int(event.data.get("held_dropped", 0)) if blame else 0 for event in events}
    failed = {event.at: int(event.data["errors"]) + unsent[event.at] for event in events}
    errors = sum(failed.values())
    requests = sum(int(event.data["requests"]) for event in events) + sum(unsent.values())
    worst = max(events, key=lambda event: failed[event.at])
    return {
        "user_requests": requests,
        "user_errors": errors,
        "user_error_ratio": errors / requests if requests else None,
        "worst_p95_ms": max((p95 for event in events if (p95 := _p95(event)) is not None), default=None),
        "worst_second": {
            "after_s": worst.at - since,
            "requests": int(worst.data["requests"]) + unsent[worst.at],
            "errors": failed[worst.at],
        },
        "impact_s": float(sum(_suffered(event, failed[event.at], objectives.user_p95_above_s) for event in events)),
        "user_due": arrived.due if arrived is not None else None,
        "user_unsent": arrived.unsent if arrived is not None else None,
    }


def _suffered(event: Event, failed: int, slow_s: float | None) -> bool:
    p95 = _p95(event)
    slow = slow_s is not None and p95 is not None and p95 > slow_s * 1000
    return slow or not int(event.data["requests"]) or failed > 0


def _p95(event: Event) -> float | None:
    value = event.data.get("p95_ms")
    return None if value is None else float(value)
