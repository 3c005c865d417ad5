"""One run of checks: reads once, gives every check its readings, gathers findings, leaves the outputs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from muster.judge import Undeclared, view
from muster.pytest_plugin import outcome
from muster.pytest_plugin.evidence import Evidence
from muster.pytest_plugin.expected import EXPECTED_RULES
from muster.pytest_plugin.subject import Subject
from muster.pytest_plugin.taking import take_for
from muster.pytest_plugin.terminal import ChecksReporter, VerboseUnknown
from muster.read import catalogue
from muster.read.redact import Redactor, known_secrets
from muster.report import Skip, Summary, junit
from muster.report.sections import section_title
from muster.snapshot import Snapshot
from muster.verdict import Finding, SLOWarning, Verdict, exit_code

SNAPSHOT_FILE = "snapshot.json"
Status = tuple[str, str, tuple[str, dict[str, bool]]]  # category, letter, word with its colours


class ChecksRun:
    """The plugin object of an awake run. Hooks below are pytest's; see their names in its reference."""

    def __init__(self, config: pytest.Config, folder: Path, subject: Subject, out: Path | None) -> None:
        self.config = config
        self.folder = folder
        self.subject = subject
        self.out = out
        self.redactor = Redactor(known_secrets(subject.environment) if subject.environment else ())
        self.snapshot = subject.snapshot and _without_secrets(subject.snapshot, self.redactor)
        self.evidence: Evidence | None = None
        self.readings = frozenset({*catalogue(subject.system), EXPECTED_RULES})
        self.started = time.time()
        self.interrupted = ""
        self.unwritten = ""  # why not all outputs could be written
        self.deselected = 0
        self.strict = bool(config.getoption("strict", default=False))
        self._began = time.perf_counter()
        self._findings: dict[str, Finding] = {}
        self._skipped: dict[str, Skip] = {}
        self._seconds: dict[str, float] = {}
        self._warned: dict[str, str] = {}

    # ---- what others ask

    @property
    def summary(self) -> Summary:
        """The run as it stands."""
        return Summary(
            command="smoke",
            system=self.subject.system.name,
            environment=self.subject.environment_name,
            started=self.started,
            duration_s=time.perf_counter() - self._began,
            findings=tuple(self._findings.values()),
            skipped=tuple(self._skipped.values()),
            interrupted=self.interrupted,
            unwritten=self.unwritten,
            deselected=self.deselected,
        )

    def take_over_terminal(self) -> None:
        """Show the findings in a table; pytest's own output stays for -v, --collect-only and -p no:terminal."""
        plugins = self.config.pluginmanager
        standard = plugins.getplugin("terminalreporter")
        if standard is None or self.config.option.collectonly:
            return
        if self.config.option.verbose > 0 and self.config.getoption("findings") == "table":
            plugins.register(VerboseUnknown(), "muster-unknown")
            return
        writer = self.config.get_terminal_writer()
        plugins.unregister(standard)
        plugins.register(ChecksReporter(self, writer), "terminalreporter")

    def begin_evidence(self, folder: Path, *, fresh: bool) -> None:
        """Leave Allure results in ``folder``; ``fresh`` removes what an earlier run left there."""
        self.evidence = Evidence(folder, self.subject.system, self.redactor)
        self.evidence.begin(self.config, fresh=fresh)

    # ---- collection

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Register each reading, and the facts, as a fixture of the checks' folder."""
        if isinstance(collector, pytest.Session | pytest.Directory) and collector.path == self.folder:
            for name in sorted(self.readings):
                pytest.register_fixture(name=name, func=self._reading(name), node=collector, scope="session")
            for name, func in (("facts", lambda: self.subject.system), ("snapshot", self._snapshot_fixture())):
                pytest.register_fixture(name=name, func=func, node=collector, scope="session")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be loaded is a check whose verdict is UNKNOWN."""
        if report.failed:
            self._redact(report)
            finding = outcome.collection_finding(report)
            self._findings[finding.check] = finding

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Give each check its words, and its Allure title, labels and links."""
        for item in items:
            outcome.speak_plainly(item)
            if self.evidence is not None:
                self.evidence.label(item, _anchor(item))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count what -k and -m leave out."""
        self.deselected += len(items)

    # ---- running

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Take every reading that the selected checks name, once, before the first of them."""
        if self.config.option.collectonly:
            return
        if self.subject.environment is not None:
            names = {name for item in session.items for name in _fixtures(item)} & self.readings
            try:
                take_for(self.config, self.subject, names, keep=self._keep)
            except KeyboardInterrupt:
                self._save_snapshot()  # what was read until then, marked as interrupted
                raise
        self._save_snapshot()

    def _keep(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def _save_snapshot(self) -> None:
        if self.out is not None and self.snapshot is not None:
            with self._writing():
                (self.out / SNAPSHOT_FILE).write_text(self.snapshot.to_json(), encoding="utf-8")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A check of a runbook that this system does not have is skipped, with that reason."""
        anchor = _anchor(item)
        runbook = anchor.partition("#")[0]
        if anchor and runbook not in self.subject.system.runbooks:
            pytest.skip(f"{self.subject.system.name} has no runbook {runbook!r}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Hear SLO warnings; with --strict they fail. What the facts do not state is a skip."""
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", SLOWarning)
            try:
                result = yield
            except Undeclared as reason:
                pytest.skip(str(reason))
        said = outcome.said_of(heard)
        if said and self.strict:
            raise AssertionError(f"{said[0]} (strict)")
        if said:
            self._warned[item.nodeid] = outcome.in_one(said)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Attach the check's own readings and its section of the runbook."""
        if self.evidence is not None:
            warned = self._warned.get(item.nodeid, "")
            self.evidence.attach(self.snapshot, set(_fixtures(item)) & self.readings, _anchor(item), warned)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The finding of a check, made when its outcome is known."""
        report = yield
        name = outcome.check_name(item)
        self._seconds[name] = self._seconds.get(name, 0.0) + call.duration
        self._redact(report)
        verdict, message = outcome.classify(report, call, self._warned.get(item.nodeid, ""))
        if verdict is Verdict.PASS:
            message = outcome.method_of(self.snapshot, set(_fixtures(item)), self.subject.system)
        message = self.redactor.text(message)
        report.user_properties.append(("verdict", verdict and verdict.value))
        if report.skipped:
            anchor = _anchor(item)
            self._skipped[name] = Skip(check=name, reason=message, runbook=anchor, section=section_title(anchor))
        elif verdict is not None:
            self._findings[name] = outcome.finding_of(
                item,
                self.subject.system,
                anchor=_anchor(item),
                verdict=verdict,
                message=message,
                error=call.excinfo.value if call.excinfo else None,
            )
        return report

    def _redact(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """What pytest's own reporters would show: a traceback or captured output may hold anything."""
        if report.longrepr is not None and not isinstance(report.longrepr, tuple):
            shown = report.longreprtext
            if (clean := self.redactor.text(shown)) != shown:
                report.longrepr = clean
        report.sections = [(name, self.redactor.text(text)) for name, text in report.sections]

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Status | None:
        """The letters and words of UNKNOWN and WARN, where pytest's own reporter is in use."""
        verdict = dict(getattr(report, "user_properties", [])).get("verdict")
        if verdict == Verdict.UNKNOWN:
            return "unknown", "U", ("UNKNOWN", {"yellow": True})
        if verdict == Verdict.WARN:
            return "warned", "W", ("WARN", {"yellow": True})
        return None

    # ---- the end

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """What was not judged any more is unknown."""
        self.interrupted = self.redactor.text(str(excinfo.value) or type(excinfo.value).__name__)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A mistake of ours is never a pass."""
        self.interrupted = self.redactor.text(f"internal error: {excinfo.value!r}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
        """Write the outputs and turn the verdict into the exit code."""
        if self.config.option.collectonly or exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if self.out is not None:
            self._write_outputs(self.out)
        if exitstatus not in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR}:
            session.exitstatus = exit_code(self.summary.verdict)

    def _write_outputs(self, out: Path) -> None:
        if self.evidence is not None:
            run = {"system": self.subject.system.name, "environment": self.subject.environment_name, "run": out.name}
            self.evidence.finish(out / SNAPSHOT_FILE, self.subject.environment, run)
            self.unwritten = self.unwritten or self.evidence.broken
        with self._writing():
            junit.write(out, self.summary, self._seconds)
        with self._writing():
            self.summary.write(out)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A full disk ends no run: what was judged is shown, and that not all of it could be kept makes it unknown."""
        try:
            yield
        except OSError as error:
            self.unwritten = self.unwritten or f"{self.out} cannot be written: {error.strerror or error}"

    # ---- fixtures

    def _reading(self, name: str) -> Any:
        def fixture() -> Any:
            try:
                return view(self._taken(), name, self.subject.system)
            except Undeclared as reason:
                pytest.skip(str(reason))

        fixture.__name__ = name
        return fixture

    def _snapshot_fixture(self) -> Any:
        def snapshot() -> Snapshot:  # not the method itself: pytest wants session fixtures to be functions
            return self._taken()

        return snapshot

    def _taken(self) -> Snapshot:
        assert self.snapshot is not None  # noqa: S101 - taken before the first check
        return self.snapshot


def _anchor(item: pytest.Item) -> str:
    marker = item.get_closest_marker("runbook")
    return str(marker.args[0]) if marker and marker.args else ""


def _without_secrets(snapshot: Snapshot, redactor: Redactor) -> Snapshot:
    """A file may come from anywhere, also from where nobody redacted it."""
    return replace(snapshot, readings={name: redactor.reading(reading) for name, reading in snapshot.readings.items()})


def _fixtures(item: pytest.Item) -> Iterator[str]:
    yield from getattr(item, "fixturenames", ())
