"""From the command line's options to a run of checks, or one sentence and exit code 4."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

import pytest

from muster import ending
from muster.errors import MusterError, UsageError
from muster.pytest_plugin.alerts import EachAlert
from muster.pytest_plugin.run import ChecksRun
from muster.pytest_plugin.subject import Subject, choose
from muster.report import run_folder
from muster.report.allure import FOLDER


def activate(config: pytest.Config, folder: Path) -> None:
    """Register the run. Raises pytest.UsageError: unknown system, environment or file, or workers beside it."""
    if config.getoption("numprocesses", None) or config.getoption("dist", "no") != "no":
        raise pytest.UsageError("checks judge one snapshot in one process: leave out -n and --dist")
    try:
        subject = choose(config)
        out = None if config.option.collectonly else _outputs(config, subject)
    except MusterError as error:
        raise pytest.UsageError(str(error)) from None
    config.option.continue_on_collection_errors = True  # what cannot be loaded is UNKNOWN; the others are judged
    run = ChecksRun(config, folder, subject, out)
    config.pluginmanager.register(EachAlert(subject.system), "muster-alerts")
    config.pluginmanager.register(run, "muster-run")
    if out is not None and config.pluginmanager.hasplugin("allure_pytest"):
        given = config.option.allure_report_dir
        config.option.allure_report_dir = None  # results are written by us: redacted, and without ending the run
        try:
            results = Path(config.invocation_params.dir, given) if given else out / FOLDER
            run.begin_evidence(results, fresh=not given or config.option.clean_alluredir)
        except OSError as error:
            raise pytest.UsageError(f"{error.filename or out} cannot be written: {error.strerror}") from None
    _end_politely(config)


def _outputs(config: pytest.Config, subject: Subject) -> Path:
    given = config.getoption("run_dir")
    if given is None:
        return run_folder("smoke", subject.system.name, subject.environment_name)
    folder = Path(config.invocation_params.dir, given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--run-dir {folder} cannot be made: {error.strerror}") from None
    return folder


def _end_politely(config: pytest.Config) -> None:
    """SIGTERM and SIGHUP end the run as Ctrl-C does: with what is known so far written down, never green."""
    if threading.current_thread() is not threading.main_thread():
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in ending.signals()}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    config.add_cleanup(restore)
