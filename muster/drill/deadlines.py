"""What a running drill waits for, and by when: from the experiment's own promises, else from what windows predict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from muster.timeline import Event, Kind

DELIVERY_S = 2.0  # from the evaluation of a rule to a page or webhook: beyond it, something is slow


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """What is to happen next; ``due_at`` is None where nothing says by when."""

    what: str
    due_at: float | None = None
    predicted: str = ""

    def text(self, now: float) -> str:
        """For people: ``waiting for the proof, due in 4.2 s``."""
        if self.due_at is None:
            return f"waiting for {self.what}"
        left = self.due_at - now
        due = f"due in {left:.1f} s" if left >= 0 else f"overdue for {-left:.1f} s"
        return f"waiting for {self.what}, {due}{f' ({self.predicted})' if self.predicted else ''}"


@dataclass
class Deadlines:
    """Fed with the events of one experiment, it knows what comes next."""

    expected: Mapping[str, Any] = field(default_factory=dict)
    window_s: float = 0.0
    outlast_s: float | None = None
    over_s: Mapping[str, float] = field(default_factory=dict)
    predicted_s: tuple[float, float] | None = None
    _at: dict[Kind, float] = field(default_factory=dict)
    _paged: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, begun: Mapping[str, Any]) -> Deadlines:
        """From the data of ``drill.started``."""
        predicted = begun.get("predicted_s")
        return cls(
            expected=begun.get("expected", {}),
            window_s=float(begun.get("window_s") or 0.0),
            outlast_s=begun.get("outlast_s"),
            over_s=begun.get("over_s") or {},
            predicted_s=(float(predicted[0]), float(predicted[1])) if predicted else None,
        )

    def hear(self, event: Event) -> None:
        """Remember when it happened; what concerns other alerts than the expected one is nothing that is awaited."""
        alert = event.data.get("alert")
        if alert and event.kind is not Kind.HEALED and alert != self.expected.get("alert", alert):
            return
        if event.kind is Kind.ROLLBACK_PROVEN and event.data.get("verdict") != "PASS":
            return
        if event.kind is Kind.PAGE_RECEIVED:
            self._paged.add(str(event.data.get("contact")))
        self._at.setdefault(event.kind, event.at)

    def next(self) -> Awaited | None:
        """The first of what is still to come; None when nothing is awaited."""
        if Kind.FAULT_INJECTED not in self._at or Kind.RECOVERED in self._at or Kind.HEALED in self._at:
            return None
        if Kind.FAULT_CONFIRMED not in self._at:
            return Awaited(what="the fault to take hold")
        return next(filter(None, self._chain()), None)

    def _chain(self) -> Iterator[Awaited | None]:
        alert, action = self.expected.get("alert", ""), self.expected.get("action", "none")
        broken = self.expected.get("breaks") or {}
        if alert and "alert" not in broken:
            yield self._alert(alert)
        people = [name for name in (self.expected.get("page"), *self.expected.get("also_page", ())) if name]
        unpaged = [name for name in people if name not in self._paged]
        if unpaged and "page" not in broken:
            due = self._due(Kind.ALERT_FIRING, self._limit("page_within") or DELIVERY_S)
            yield Awaited(what=f"the page to {unpaged[0]}", due_at=due)
        if action == "rollback" and "webhook" not in broken:
            yield from self._rollback()
        if self.outlast_s is not None and (left := self._due(Kind.FAULT_CONFIRMED, self.outlast_s)) is not None:
            yield Awaited(what=f"silence of {self.expected.get('outlast', 'alerts')} to mean something", due_at=left)
        if (limit := self._limit("recovered_within")) is not None:
            since = {"rollback": Kind.WEBHOOK_RECEIVED, "by-hand": Kind.HEALED}.get(action, Kind.FAULT_INJECTED)
            yield Awaited(what="the steady state", due_at=self._due(since, limit))

    def _alert(self, alert: str) -> Awaited | None:
        if Kind.ALERT_FIRING in self._at:
            return None
        limit, predicted = self._limit("detect_within"), ""
        within = None if limit is None else self.window_s + limit
        if self.predicted_s is not None and not self.expected.get("gradual"):
            predicted = f"predicted {self.predicted_s[0]:.1f} to {self.predicted_s[1]:.1f} s"
            within = self.predicted_s[1] if within is None else within
        due = None if within is None else self._due(Kind.FAULT_CONFIRMED, within)
        return Awaited(what=alert, due_at=due, predicted=predicted)

    def _rollback(self) -> Iterator[Awaited | None]:
        steps: tuple[tuple[Kind, Kind, str, float | None], ...] = (
            (Kind.WEBHOOK_RECEIVED, Kind.ALERT_FIRING, "the responder's receipt", DELIVERY_S),
            (Kind.DECIDED, Kind.WEBHOOK_RECEIVED, "the decision", self._limit("decide_within")),
            (Kind.ROLLBACK_PROVEN, Kind.WEBHOOK_RECEIVED, "the proof", self._limit("rollback_within")),
        )
        for kind, since, what, limit in steps:
            if kind not in self._at:
                yield Awaited(what=what, due_at=None if limit is None else self._due(since, limit))

    def _limit(self, name: str) -> float | None:
        """The promise, and what it counts over here; None where nothing is promised."""
        limit = self.expected.get(f"{name}_s")
        return None if limit is None else float(limit) + float(self.over_s.get(name, 0.0))

    def _due(self, since: Kind, within_s: float) -> float | None:
        begun = self._at.get(since)
        return None if begun is None else begun + within_s
