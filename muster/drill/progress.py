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
from muster.drill.deadlines import Deadlines
from muster.drill.words import HELD, Fresh, clause
from muster.timeline import Event, Kind
from muster.verdict import Verdict

_STYLE = {
    Verdict.PASS: "bold green",
    Verdict.WARN: "bold yellow",
    Verdict.FAIL: "bold red",
    Verdict.UNKNOWN: "bold yellow",
}
_LOOKS: dict[Kind, str] = {
    Kind.FAULT_INJECTED: "bold red",
    Kind.FAULT_CONFIRMED: "red",
    Kind.ALERT_PENDING: "dim",
    Kind.ALERT_FIRING: "bold yellow",
    Kind.ALERT_RESOLVED: "dim",
    Kind.PAGE_RECEIVED: "yellow",
    Kind.WEBHOOK_RECEIVED: "cyan",
    Kind.DECIDED: "cyan",
    Kind.ROLLBACK_STARTED: "bold blue",
    Kind.TRAFFIC_OFF: "blue",
    Kind.ROLLBACK_PROVEN: "bold magenta",
    Kind.SYMPTOM_GONE: "magenta",
    Kind.ESCALATED: "bold red",
    Kind.CHECK_FAILED: "yellow",
    Kind.CONTAINER_ENDED: "yellow",
    Kind.POD_READY: "dim",
    Kind.POD_GONE: "dim",
    Kind.RECOVERED: "bold green",
    Kind.HEALED: "dim",
    Kind.NOTE: "dim",
}
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


class Progress:
    """Listens to stories and shows them. Events come from several threads; rich's console takes care of that."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.time()
        self._zero: float | None = None
        self._phase, self._users = "setting up", ""
        self._deadlines = Deadlines()
        self._fresh = Fresh()
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
            self._zero, self._users, self._fresh = None, "", Fresh()
            self._deadlines = Deadlines.of(event.data)
            self.say(f"\n{story.experiment}: {event.message}", "bold")
        if event.kind is Kind.TRAFFIC:
            self._users = _users(event)
            return
        if event.kind is Kind.FAULT_INJECTED:
            self._zero = event.at
        self._deadlines.hear(event)
        if not self._fresh(event):
            return
        if event.kind is not Kind.DECIDED or event.data.get("decision") != "propose":
            self._phase = _PHASES.get(event.kind, self._phase)
        if words := clause(event):
            self._line(event, self._style(event), words)

    def _style(self, event: Event) -> str:
        if event.kind is Kind.STEADY:
            return "green" if event.data.get("verdict") in HELD else "yellow"
        return _LOOKS.get(event.kind, "")

    def _line(self, event: Event, style: str, words: str) -> None:
        stamp = f"{event.at - self._zero:+9.2f} s" if self._zero is not None else " " * 11
        self._console.print(Text.assemble((stamp, "dim"), "  ", (words, style)), highlight=False, soft_wrap=True)

    def _status(self) -> Text:
        """Two lines that never wrap: what is awaited and by when; below it, what users see."""
        now = time.time()
        awaited = self._deadlines.next()
        first = f" {now - self._began:5.0f} s   {awaited.text(now) if awaited else self._phase}"
        lines = [first, f"{' ' * 10}{self._users}"] if self._users else [first]
        width = self._console.width
        shown = Text(style="reverse", no_wrap=True, overflow="ellipsis")
        for number, line in enumerate(lines):
            shown.append("\n" if number else "")
            shown.append(line[: width - 1].ljust(width - 1))
        return shown

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


def _users(event: Event) -> str:
    requests, errors, p95 = event.data["requests"], event.data["errors"], event.data.get("p95_ms")
    share = f"{errors / requests:.1%} errors" if requests else "no answers"
    due, unsent = event.data.get("offered"), event.data.get("dropped", 0)
    rate = f"{requests} req/s" if due is None else f"{requests} of {due} req/s"
    parts = [rate, share, f"P95 {p95:.0f} ms" if p95 is not None else "", f"{unsent} never sent" if unsent else ""]
    return "  ".join(filter(None, parts))
