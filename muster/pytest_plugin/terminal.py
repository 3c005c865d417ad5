"""What a person sees: a headline, one line for each runbook section, and the sentences of what does not hold."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest
from _pytest._io import TerminalWriter

from muster.errors import EXIT_FAILED
from muster.pytest_plugin.subject import Subject
from muster.report.summary import Skip, Summary
from muster.snapshot import Reading
from muster.verdict import Finding, Verdict

_COLOURS = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.UNKNOWN: "yellow"}


class Run(Protocol):
    """What is shown of a run."""

    config: pytest.Config
    subject: Subject
    out: Path | None

    @property
    def summary(self) -> Summary:
        """The run as it stands."""


class ChecksReporter:
    """Stands in pytest's own reporter's place and says nothing before the table."""

    def __init__(self, run: Run, writer: Any) -> None:
        self._run = run
        self._tw = writer  # by this name pytest's config.get_terminal_writer() finds it

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> Generator[None, None, None]:
        """The table, once everything is judged and written. What nobody can read was not said: never exit code 0."""
        yield
        try:
            self._finish(exitstatus)
        except OSError as error:
            print(f"muster: standard output cannot be written: {error.strerror}", file=sys.stderr)
            session.exitstatus = session.exitstatus or EXIT_FAILED

    def _finish(self, exitstatus: int | pytest.ExitCode) -> None:
        if exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if self._run.config.getoption("findings") == "json":
            say(self._tw, self._run.summary.to_json())
        else:
            text = io.StringIO()
            memory = TerminalWriter(text)
            memory.hasmarkup = self._tw.hasmarkup
            show(memory, self._run)
            say(self._tw, text.getvalue())

    def pytest_internalerror(self, excrepr: Any) -> bool:
        """A mistake of ours, in full."""
        self._tw.line(str(excrepr), red=True)
        return True


def say(writer: Any, text: str) -> None:
    """Write all of it at once, past Python's buffers.

    Whoever reads may have gone (``| head``): then nobody is told, and the verdict and its exit code stand. What stays
    in a buffer would be tried again when the process ends, and turn the exit code into one of its own.
    """
    file = writer._file  # noqa: SLF001 - where pytest itself writes
    try:
        file.flush()
        descriptor = file.fileno()
    except (OSError, ValueError, AttributeError):  # no real file: pytest captures, or a program embeds us
        file.write(text)
        return
    body = text.encode("utf-8", errors="replace")
    with suppress(BrokenPipeError):
        while body:
            body = body[os.write(descriptor, body) :]


def show(out: Any, run: Run) -> None:
    """Write the table."""
    summary = run.summary
    total = sum(summary.counts.values())
    headline = (
        f"{summary.system}/{summary.environment}  {total} check{'' if total == 1 else 's'}, {summary.duration_s:.1f} s"
    )
    if run.subject.snapshot is not None:
        headline += ", offline"
    out.write(f"{headline:<58}  ")
    out.line(summary.verdict.value, bold=True, **{_COLOURS[summary.verdict]: True})
    for line in _remarks(summary):
        out.line(f"  {line}")
    groups = _groups(summary)
    width = max((len(name) for name in groups), default=0)
    for name, entries in groups.items():
        _show_group(out, name.ljust(width), entries)
    if run.out is not None:
        out.line(f"  outputs: {_shown(run)}", light=True)


def _show_group(out: Any, name: str, entries: list[Finding | Skip]) -> None:
    findings = [entry for entry in entries if isinstance(entry, Finding)]
    skips = [entry for entry in entries if isinstance(entry, Skip)]
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    out.write(f"  {name}  ")
    out.write(f"ok {counts[Verdict.PASS]}", green=counts[Verdict.PASS] > 0)
    for verdict in (Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN):
        if counts[verdict]:
            out.write(f"   {verdict.value} {counts[verdict]}", **{_COLOURS[verdict]: True})
    if skips:
        out.write(f"   skip {len(skips)}")
    out.line()
    said: set[str] = set()  # one source that cannot be read makes many checks unknown: it is said once
    for finding in sorted(findings, key=lambda finding: -finding.verdict.rank):
        if finding.verdict is not Verdict.PASS and finding.message not in said:
            said.add(finding.message)
            out.line(f"    {finding.message}", **{_COLOURS[finding.verdict]: True})
            if finding.verdict is Verdict.FAIL:
                out.line(f"    {_where(finding)}")
    for reason in sorted({skip.reason for skip in skips}):
        out.line(f"    skipped: {reason}")


def _where(finding: Finding) -> str:
    """``runbook: PQC handshake failure, step 3 -> roll back at once, tell security``, or the check's own name."""
    if not finding.runbook:
        return f"check: {finding.check}"
    step = f", step {finding.step}" if finding.step else ""
    then = f" -> {finding.next_step}" if finding.next_step else ""
    return f"runbook: {finding.section}{step}{then}"


def _groups(summary: Summary) -> dict[str, list[Finding | Skip]]:
    """By runbook section: what does not hold first, then in the order of the checks."""
    groups: dict[str, list[Finding | Skip]] = {}
    entries: list[Finding | Skip] = [*summary.findings, *summary.skipped]
    for entry in entries:
        groups.setdefault(entry.section, []).append(entry)
    return dict(sorted(groups.items(), key=lambda group: -max(map(_rank, group[1]))))


def _rank(entry: Finding | Skip) -> int:
    return entry.verdict.rank if isinstance(entry, Finding) else -1


def _remarks(summary: Summary) -> Iterator[str]:
    if summary.interrupted:
        yield f"interrupted: {summary.interrupted}"
    if summary.unwritten:
        yield f"not all outputs were kept: {summary.unwritten}"
    if not summary.findings and not summary.interrupted:
        left_out = f" ({summary.deselected} left out by -k or -m)" if summary.deselected else ""
        yield f"no check was judged{left_out}: nothing is known"


def _shown(run: Run) -> str:
    assert run.out is not None  # noqa: S101 - asked by the caller
    try:
        return str(run.out.relative_to(run.config.invocation_params.dir))
    except ValueError:
        return str(run.out)


class VerboseUnknown:
    """With -v, pytest's own reporter is in use, and shows the reasons of what failed only."""

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The reasons of what is unknown, as pytest shows those of failures."""
        reports = terminalreporter.getreports("unknown")
        if reports:
            terminalreporter.write_sep("=", "UNKNOWN")
            for report in reports:
                terminalreporter.write_sep("_", report.head_line or report.nodeid)
                terminalreporter.write_line(report.longreprtext)


@contextmanager
def progress(config: pytest.Config, total: int) -> Iterator[Callable[[Reading], None]]:
    """While readings are taken, on a terminal: how many are in."""
    terminal = sys.__stderr__
    if terminal is None or not terminal.isatty() or config.getoption("findings") == "json":
        yield lambda _reading: None
        return
    done = 0

    def on_reading(reading: Reading) -> None:
        nonlocal done
        done += 1
        terminal.write(f"\r\033[Kreading {done}/{max(total, done)}: {reading.name}")
        terminal.flush()

    try:
        yield on_reading
    finally:
        terminal.write("\r\033[K")
        terminal.flush()
