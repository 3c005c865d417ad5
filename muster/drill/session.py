"""One pytest run of experiments: findings from results, and the outputs that every command leaves."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from muster.chaos import outputs, own, shared
from muster.chaos.context import ENVIRONMENT, SYSTEM
from muster.chaos.patience import patience
from muster.chaos.whole import Whole
from muster.drill import collect, picture
from muster.drill.collect import Experiment
from muster.drill.selection import title_of
from muster.report import RUN_VARIABLE, Summary, allure, junit, run_folder
from muster.system import System, load_system
from muster.verdict import Finding, Verdict, exit_code

Result = Callable[[Experiment, Finding], None]


PLUGIN, COLLECTOR = "muster-drill", "muster-experiments"


def begin(config: pytest.Config, *, on_result: Result | None = None) -> DrillRun | None:
    """Make experiments collectable and register their run, once; None when nothing is going to be run."""
    if not config.pluginmanager.hasplugin(COLLECTOR):
        config.pluginmanager.register(collect, COLLECTOR)
    if not config.option.collectonly and not config.pluginmanager.hasplugin(PLUGIN):
        config.pluginmanager.register(DrillRun(config, on_result=on_result), PLUGIN)
    found: DrillRun | None = config.pluginmanager.getplugin(PLUGIN)
    return found


class DrillRun:
    """The plugin object. It gives experiments their place and run folder, and turns results into findings."""

    def __init__(self, config: pytest.Config, *, on_result: Result | None = None) -> None:
        self._config, self._on_result = config, on_result
        self.system = config.getoption("system") or os.environ.get("MUSTER_SYSTEM") or SYSTEM
        self.environment = config.getoption("env") or os.environ.get("MUSTER_ENV") or ENVIRONMENT
        self.folder = self._make_folder()
        self.started, self._began = time.time(), time.perf_counter()
        self.interrupted = ""
        self._findings: dict[str, Finding] = {}
        self._seconds: dict[str, float] = {}
        self._environ = {
            "MUSTER_SYSTEM": self.system,
            "MUSTER_ENV": self.environment,
            RUN_VARIABLE: str(self.folder),
        }
        self._before = {name: os.environ.get(name) for name in self._environ}
        os.environ.update(self._environ)
        self._shared = ExitStack()
        self._session = self._shared.enter_context(shared.session(self.folder / "users"))
        self._whole: Whole | None = None
        if config.pluginmanager.hasplugin("allure_pytest") and not config.option.allure_report_dir:
            config.option.allure_report_dir = str(self.folder / allure.FOLDER)

    def _make_folder(self) -> Path:
        given = self._config.getoption("run_dir") or os.environ.get(RUN_VARIABLE)
        folder = Path(given).resolve() if given else run_folder("drill", self.system, self.environment)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def summary(self) -> Summary:
        """The run as it stands."""
        return Summary(
            command="drill",
            system=self.system,
            environment=self.environment,
            started=self.started,
            duration_s=time.perf_counter() - self._began,
            findings=tuple(self._findings.values()),
            interrupted=self.interrupted,
        )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """From here on it is known what belongs to this drill: all of it is UNKNOWN until it was run."""
        selected = {item.name: title_of(item.path) for item in session.items if isinstance(item, Experiment)}
        if selected:
            self._whole = self._session.whole = Whole(self.system, self.environment, selected)
            outputs.write_whole(self.folder, self._whole)
            picture.prepare()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """One finding for each experiment."""
        report = yield
        if isinstance(item, Experiment) and (report.when == "call" or report.failed):
            finding = _finding(item, call, load_system(self.system))
            self._seconds[finding.check] = call.duration
            self._findings[item.name] = finding
            self._tell_whole(item.name, finding)
            if (item.result or {}).get("stopped"):
                self.interrupted = finding.message  # of the others nothing is known
            if self._on_result is not None:
                self._on_result(item, finding)
        return report

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """What was not run any more is unknown."""
        self.interrupted = str(excinfo.value) or "interrupted"

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A mistake of ours is never a pass."""
        self.interrupted = f"internal error: {excinfo.value!r}"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
        """Heal what is left, send the users away, write the outputs and turn the verdict into the exit code."""
        with patience(self._say, deliver=lambda _: None) as late:  # it is the end: the outputs and the exit code tell
            self._heal()
            self._shared.close()
        if exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if late and not self.interrupted:
            self.interrupted = f"interrupted by {max(late).name}"
            exitstatus = session.exitstatus = pytest.ExitCode.INTERRUPTED
        summary = self.summary
        if exitstatus not in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR}:
            session.exitstatus = exit_code(summary.verdict)
        summary.write(self.folder)
        if self._whole is not None:
            self._whole.end(self.interrupted)
            outputs.write_whole(self.folder, self._whole)
        junit.write(self.folder, summary, self._seconds)
        if self._config.pluginmanager.hasplugin("allure_listener"):
            results = Path(self._config.option.allure_report_dir)
            allure.write_environment(results, {"system": self.system, "environment": self.environment})
            allure.write_executor(results, self.folder.name)

    def _heal(self) -> None:
        """Whatever the end was: a session that leaves something broken has failed, and says so."""
        failure = own.heal_own(self._say)
        if failure:
            self._say(failure)
            check = "drill.everything_is_undone"
            finding = Finding(check=check, verdict=Verdict.FAIL, message=failure, section="Drill")
            self._findings[check] = finding
            self._tell_whole(check, finding)

    def _tell_whole(self, name: str, finding: Finding) -> None:
        """Summary and timeline must not say different things of the same drill."""
        if self._whole is not None:
            self._whole.judged(name, finding.verdict, finding.message)

    def _say(self, words: str) -> None:
        print(f"muster: {words}", file=sys.__stderr__, flush=True)  # pytest may be capturing the other

    def pytest_unconfigure(self) -> None:
        """Give the process its environment back."""
        self._shared.close()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _finding(item: Experiment, call: pytest.CallInfo[Any], system: System) -> Finding:
    if item.result is not None:
        verdict, message = Verdict(item.result["verdict"]), str(item.result["message"])
    else:
        error = call.excinfo.value if call.excinfo is not None else None
        verdict, message = Verdict.UNKNOWN, str(error or "it did not run").split("\n", 1)[0]
    name = str((item.result or {}).get("alert", ""))
    alert = system.alerts.get(name)
    return Finding(
        check=f"experiment.{item.name}",
        verdict=verdict,
        message=message,
        runbook=alert.runbook if alert else "",
        alert=name,
        severity=alert.severity if alert else "",
        section="Drill",
    )
