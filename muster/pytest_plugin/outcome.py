"""From what happened to a check to its verdict and one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Any

import pytest

from muster.judge import Breach, Firing
from muster.judge.sample import looked_at
from muster.pytest_plugin.alerts import alert_judged
from muster.report.sections import advice, advice_on_silence, alert_of, section_title
from muster.snapshot import Snapshot
from muster.system import System
from muster.verdict import Finding, SLOWarning, Verdict

_SHOWN = 3  # warnings of one check


def classify(report: pytest.TestReport, call: pytest.CallInfo[Any], warned: str) -> tuple[Verdict | None, str]:
    """The verdict of this phase and its sentence; None where the phase decides nothing.

    AssertionError (and pytest.fail) is FAIL; any other exception, in any phase, is UNKNOWN: a check that broke has
    shown nothing.
    """
    if report.skipped:
        return None, _skip_reason(report)
    if call.excinfo is not None and report.failed:
        message = _sentence(call.excinfo.value)
        if isinstance(call.excinfo.value, AssertionError | pytest.fail.Exception) and report.when == "call":
            return Verdict.FAIL, message
        return Verdict.UNKNOWN, message
    if report.when != "call":
        return None, ""
    return (Verdict.WARN, warned) if warned else (Verdict.PASS, "")


def said_of(heard: Sequence[warnings.WarningMessage]) -> list[str]:
    """The sentences of the SLO warnings, each once. Other warnings are passed on."""
    for warning in heard:
        if not issubclass(warning.category, SLOWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return list(dict.fromkeys(str(entry.message) for entry in heard if issubclass(entry.category, SLOWarning)))


def in_one(sentences: Sequence[str]) -> str:
    """What a check warns of: of a thousand replicas nobody reads each."""
    more = f" (and {len(sentences) - _SHOWN} more)" if len(sentences) > _SHOWN else ""
    return "; ".join(sentences[:_SHOWN]) + more


def speak_plainly(item: pytest.Item) -> None:
    """Where a check says its sentence, the sentence is what is shown, not a traceback through the judges.

    Pytest parses the source of every frame for one, about 20 ms a check: with Prometheus down that is the whole run
    again. A check that broke in another way keeps its traceback.
    """
    as_pytest = item._repr_failure_py  # noqa: SLF001 - failures in set-up go by it, those of the check itself too
    file, line, _ = item.location
    where = f"{file}:{(line or 0) + 1}"

    def represent(excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from muster.errors import MusterError

        if isinstance(excinfo.value, AssertionError | MusterError) and str(excinfo.value):
            return f"{excinfo.value}\n({where})"
        return as_pytest(excinfo, style)

    item._repr_failure_py = represent  # type: ignore[method-assign]  # noqa: SLF001
    item.repr_failure = represent  # type: ignore[method-assign]


def method_of(snapshot: Snapshot | None, readings: Collection[str], system: System) -> str:
    """How an indicator that a check judged was measured, where it was not by Prometheus; "" otherwise.

    Of readings that looked at a sample of the replicas: how many, of how many.
    """
    for name in sorted(system.slo.keys() & set(readings)):
        value = snapshot.readings[name].value if snapshot and name in snapshot.readings else None
        if isinstance(value, dict) and value.get("method"):
            return f"{name} is measured {value['method']}: no Prometheus is declared"
    return looked_at(snapshot, readings)


def finding_of(
    item: pytest.Item,
    system: System,
    *,
    anchor: str,
    verdict: Verdict,
    message: str,
    error: BaseException | None = None,
) -> Finding:
    """The finding of one check, with what the facts say about the runbook section that it encodes.

    Where the check found an alert of the facts firing, it is about that alert's section, whatever its own is.
    """
    marker = item.get_closest_marker("runbook")
    step = int(marker.kwargs.get("step", 0)) if marker else 0
    own = alert_judged(item)
    alert, due = own if own in system.alerts else alert_of(system, anchor), False
    if isinstance(error, Firing) and error.alert in system.alerts:
        alert, anchor, step, due = error.alert, system.alerts[error.alert].runbook, 0, True
    elif isinstance(error, Breach):
        alert, due = alert_of(system, anchor, error.slo, error.level), True
    then = advice_on_silence(system) if own else advice(system, anchor, step, alert, due=due)
    return Finding(
        check=check_name(item),
        verdict=verdict,
        message=message,
        runbook=anchor,
        alert=alert,
        severity=system.alerts[alert].severity if alert else "",
        section=section_title(anchor),
        step=step,
        next_step=then if verdict is Verdict.FAIL else "",
    )


def collection_finding(report: pytest.CollectReport) -> Finding:
    """The finding of a file that cannot be loaded."""
    lines = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
    reason = lines[-1].removeprefix("E").strip() if lines else "it cannot be loaded"
    return Finding(
        check=_stem(report.nodeid),
        verdict=Verdict.UNKNOWN,
        message=f"{report.nodeid} cannot be loaded: {reason}",
        section=section_title(""),
    )


def check_name(item: pytest.Item) -> str:
    """``pqc.no_replica_falls_back`` of ``checks/test_pqc.py::test_no_replica_falls_back``."""
    return f"{_stem(item.nodeid.partition('::')[0])}.{item.name.removeprefix('test_')}"


def _stem(nodeid: str) -> str:
    return PurePath(nodeid).stem.removeprefix("test_")


def _sentence(error: BaseException) -> str:
    """The first line: what follows it is pytest's explanation of an assert, for -v and the report."""
    first = str(error).strip().split("\n", 1)[0]
    if isinstance(error, AssertionError) and first:
        return first
    from muster.errors import MusterError

    return first if isinstance(error, MusterError) and first else f"{type(error).__name__}: {first}".rstrip(": ")


def _skip_reason(report: pytest.TestReport) -> str:
    found = report.longrepr
    text = str(found[2]) if isinstance(found, tuple) else getattr(report, "wasxfail", "")
    return text.removeprefix("Skipped: ")
