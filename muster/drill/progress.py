"""A drill on the terminal: the story with timestamps, and below it phase, elapsed time and next deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from muster.chaos.story import Story, listening
from muster.timeline import Event, Kind
from muster.verdict import Verdict

_STYLE = {
    Verdict.PASS: "bold green",
    Verdict.WARN: "bold yellow",
    Verdict.FAIL: "bold red",
    Verdict.UNKNOWN: "bold yellow",
}
_LINES: dict[Kind, tuple[str, str]] = {  # kind -> style, words ({m}: the event's message, {name}: of its data)
    Kind.FAULT_INJECTED: ("bold red", "fault injected: {m}"),
    Kind.FAULT_CONFIRMED: ("red", "fault in force: {m}"),
    Kind.ALERT_PENDING: ("dim", "alert pending: {alert}"),
    Kind.ALERT_FIRING: ("bold yellow", "alert firing: {alert}"),
    Kind.ALERT_RESOLVED: ("dim", "alert resolved: {alert}"),
    Kind.PAGE_RECEIVED: ("yellow", "paged {contact}: {alert}"),
    Kind.WEBHOOK_RECEIVED: ("cyan", "the responder received the webhook: {alert}"),
    Kind.DECIDED: ("cyan", "decided: {m}"),
    Kind.ROLLBACK_STARTED: ("bold blue", "rolling back: {m}"),
    Kind.TRAFFIC_OFF: ("blue", "{m}"),
    Kind.ROLLBACK_PROVEN: ("bold magenta", "proven {verdict}: {m}"),
    Kind.SYMPTOM_GONE: ("magenta", "symptom gone {verdict}: {m}"),
    Kind.ESCALATED: ("bold red", "escalated: {m}"),
    Kind.CHECK_FAILED: ("yellow", "seen by the checks: {m}"),
    Kind.CONTAINER_ENDED: ("yellow", "{m}"),
    Kind.POD_READY: ("dim", "{m}"),
    Kind.POD_GONE: ("dim", "{m}"),
    Kind.RECOVERED: ("bold green", "recovered: {m}"),
    Kind.HEALED: ("dim", "healed: {m}"),
}
_ONCE = {Kind.ALERT_RESOLVED, Kind.TRAFFIC_OFF}  # said by more than one source
_PHASES = {
    Kind.DRILL_STARTED: "bringing users in",
    Kind.STEADY: "steady state",
    Kind.FAULT_INJECTED: "the fault takes hold",
    Kind.FAULT_CONFIRMED: "waiting for detection",
    Kind.ALERT_FIRING: "waiting for the page",
    Kind.WEBHOOK_RECEIVED: "waiting for the decision",
    Kind.DECIDED: "rolling back",
    Kind.ROLLBACK_PROVEN: "waiting for recovery",
    Kind.RECOVERED: "recovered; looking again",
    Kind.HEALED: "healed",
}
_DEADLINES = (  # after this kind, that objective's kind is due
    (Kind.FAULT_CONFIRMED, Kind.WEBHOOK_RECEIVED, "webhook_within_s", "webhook"),
    (Kind.WEBHOOK_RECEIVED, Kind.ROLLBACK_PROVEN, "rollback_within_s", "proof"),
    (Kind.WEBHOOK_RECEIVED, Kind.RECOVERED, "recovered_within_s", "recovery"),
    (Kind.FAULT_INJECTED, Kind.RECOVERED, "recovered_within_s", "recovery"),
)


class Progress:
    """Listens to stories and shows them. Events come from several threads; rich's console takes care of that."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.time()
        self._zero: float | None = None
        self._phase, self._users = "setting up", ""
        self._at: dict[Kind, float] = {}
        self._told: set[tuple[Kind, str | None]] = set()
        self._expected: dict[str, Any] = {}
        self._window_s = 0.0
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show stories for a while; without a terminal the lines alone are printed."""
        with listening(self._hear):
            if not self._console.is_terminal:
                yield
                return
            with Live(
                get_renderable=self._status, console=self._console, refresh_per_second=4, transient=True
            ) as self._live:
                yield

    def say(self, text: str, style: str = "") -> None:
        """One line outside any story."""
        self._console.print(Text(text, style=style), highlight=False, soft_wrap=True)

    def phase(self, words: str) -> None:
        """What is being done, outside any story."""
        self._phase = words

    def _hear(self, story: Story, event: Event) -> None:
        if event.kind is Kind.DRILL_STARTED:
            self._zero, self._at, self._users, self._told = None, {}, "", set()
            self._expected = event.data.get("expected", {})
            self._window_s = float(event.data.get("window_s", 0.0))
            self.say(f"\n{story.experiment}: {event.message}", "bold")
        if event.kind is Kind.TRAFFIC:
            self._users = _users(event)
            return
        if event.kind is Kind.FAULT_INJECTED:
            self._zero = event.at
        if event.kind in _ONCE and (event.kind, _of(event)) in self._told:
            return
        self._told.add((event.kind, _of(event)))
        self._at.setdefault(event.kind, event.at)
        if event.kind is not Kind.DECIDED or event.data.get("decision") != "propose":
            self._phase = _PHASES.get(event.kind, self._phase)
        if event.kind is Kind.STEADY:
            held = event.data.get("verdict") in ("PASS", "WARN")
            self._line(event, "green" if held else "yellow", f"{'steady' if held else 'not steady'}: {event.message}")
        elif event.kind is Kind.NOTE and event.source == "muster":
            self._line(event, "dim", event.message)
        elif event.kind in _LINES:
            style, words = _LINES[event.kind]
            known = {"alert": "", "contact": "", "verdict": "", **event.data}
            self._line(event, style, words.format_map({**known, "m": event.message}))

    def _line(self, event: Event, style: str, words: str) -> None:
        stamp = f"{event.at - self._zero:+9.2f} s" if self._zero is not None else " " * 11
        self._console.print(Text.assemble((stamp, "dim"), "  ", (words, style)), highlight=False, soft_wrap=True)

    def _status(self) -> Text:
        parts = [f"  {time.time() - self._began:5.0f} s", self._phase, self._due(), self._users]
        return Text("   ".join(part for part in parts if part), style="reverse")

    def _due(self) -> str:
        now = time.time()
        for begun, due, key, what in _DEADLINES:
            limit = self._expected.get(key)
            if limit is None or begun not in self._at or due in self._at:
                continue
            window = self._window_s if begun is Kind.FAULT_CONFIRMED else 0.0
            return f"{what} due in {self._at[begun] + limit + window - now:.1f} s"
        return ""

    def verdict(self, name: str, result: dict[str, Any]) -> None:
        """The objectives of one experiment, each with its sentence, the worst first."""
        verdict = Verdict(result["verdict"])
        self._console.print(
            Text.assemble(f"\n{name}  ", (verdict.value, _STYLE[verdict]), f"  {result['message']}"), soft_wrap=True
        )
        for item in sorted(result.get("objectives", []), key=lambda item: -Verdict(item["verdict"]).rank):
            said = Verdict(item["verdict"])
            line = Text.assemble("  ", (f"{said.value:<8}", _STYLE[said]), f"{item['objective']:<18} ", item["message"])
            self._console.print(line, highlight=False, soft_wrap=True)


def _of(event: Event) -> str | None:
    return None if event.kind is Kind.TRAFFIC_OFF else event.data.get("alert")


def _users(event: Event) -> str:
    requests, errors, p95 = event.data["requests"], event.data["errors"], event.data.get("p95_ms")
    share = f"{errors / requests:.1%} errors" if requests else "no answers"
    return f"{requests} req/s  {share}" + (f"  P95 {p95:.0f} ms" if p95 is not None else "")
