"""What is seen in the terminal while load runs: achieved of offered, P95, errors, misses; then the verdict."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from muster.judge.load import LoadJudgement
from muster.judge.seconds import LoadSecond
from muster.load.plan import Plan
from muster.verdict import Finding, Verdict

_COLOURS = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.UNKNOWN: "yellow"}
EVERY_LINE = 5  # seconds between two lines where there is no terminal


class Progress:
    """A line that stays in its place on a terminal; one every few seconds in a log."""

    def __init__(self, plan: Plan, console: Any = None) -> None:
        from rich.console import Console

        self._plan = plan
        self._console = console or Console(highlight=False, width=None if sys.stdout.isatty() else 160)
        self._live: Any = None
        self._began = 0
        self._errors = self._missed = 0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While the run lasts."""
        from rich.live import Live

        plan = self._plan
        self._console.print(
            f"{plan.peak:,.0f} requests/s at the peak, for {plan.duration_s:g} s "
            f"({plan.warm_up_s:g} s to warm up), {plan.arrivals} arrivals, {plan.users} to {plan.most_users} users"
        )
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def told(self, second: LoadSecond) -> None:
        """Show one more second."""
        if not self._began and not second.offered:
            return
        self._began = self._began or second.at
        self._errors += second.errors
        self._missed += second.late + second.dropped
        at = second.at - self._began
        if self._live is not None:
            self._live.update(self._line(second, at), refresh=True)
        elif at % EVERY_LINE == 0:
            self._console.print(self._line(second, at))

    def _line(self, second: LoadSecond, at: int) -> str:
        good = second.requests - second.errors
        p95 = "-" if second.p95_ms is None else f"{second.p95_ms:,.1f}"
        return (
            f"{at:4d} s  {good:7,d} of {second.offered:7,d}/s  P95 {p95:>8} ms  errors {self._errors:,d}"
            f"  missed {self._missed:,d}  users {second.users:,d}  generator {second.cpu:.0%} of a core"
        )

    def verdict(self, place: str, verdict: Verdict, judged: LoadJudgement, folder: Path) -> None:
        """The numbers, a line for each finding, and where the outputs are."""
        say = self._console.print
        found, served = judged.latency_ms, judged.service_ms
        say(f"\n{place}  [bold {_COLOURS[verdict]}]{verdict.value}[/]", soft_wrap=True)
        say(
            f"  offered {judged.offered_rps:,.1f}/s, served {judged.achieved_rps:,.1f}/s, "
            f"missed {judged.missed_ratio:.3%}, failed {judged.errors:,} of {judged.requests:,}",
            soft_wrap=True,
        )
        say(f"  latency from the intended time  {_numbers(found)}", soft_wrap=True)
        say(f"  service time, as Locust has it  {_numbers(served)}", soft_wrap=True)
        for finding in sorted(judged.findings, key=lambda one: -one.verdict.rank):
            self._finding(finding)
        for check, reason in judged.skipped:
            say(f"  [dim]{'skip':<8}{check}: {reason}[/]", soft_wrap=True)
        say(f"outputs: {folder}", soft_wrap=True)

    def _finding(self, finding: Finding) -> None:
        from rich.markup import escape

        word = f"[{_COLOURS[finding.verdict]}]{finding.verdict.value:<8}[/]"
        self._console.print(f"  {word}{finding.check}: {escape(finding.message)}", soft_wrap=True)


def _numbers(found: dict[str, float | None]) -> str:
    return "  ".join(f"{name} {'-' if value is None else f'{value:,.4g} ms'}" for name, value in found.items())
