"""Facts -> promtool's test cases: each alert proven in virtual time, at the runbooks' own windows.

For each alert: silent just under its threshold, silent just under its duration, firing just over both, gone afterwards,
and what happens when its series do not exist at all.
"""

from __future__ import annotations

from typing import Any

from muster.errors import UsageError
from muster.rules.names import Texts, absence_lasting, absent_texts, lasting, metric, series_of, texts
from muster.rules.shapes import Phase, Shape, measured, shape_of
from muster.system.environment import Environment
from muster.system.model import System
from muster.system.promql import prom_duration
from muster.system.units import duration

Case = dict[str, Any]
_QUIET_S = 600.0  # before the condition, so that windows are full of good values
_OVER_S = 600.0  # how much longer than needed the condition lasts


def case_file(system: System, environment: Environment) -> dict[str, Any]:
    """The content of a file for ``promtool test rules``; it stands in ``cases/`` beside ``rules/``.

    Raises :class:`~muster.errors.UsageError` for a scaled environment (the cases prove true-scale rules) and for an
    alert whose SLO has no ``example`` to make series from.
    """
    if environment.time_scale != 1:
        raise UsageError(f"cases prove rules at true scale; environment {environment.name} is scaled")
    tests = [case for alert in system.alerts for case in _Alert(system, environment, alert).cases()]
    return {
        "rule_files": [f"../rules/{system.name}.yml"],
        "evaluation_interval": prom_duration(environment.evaluation_interval_s),
        "tests": [*tests, *_absence(system, environment)],
    }


class _Alert:
    """The cases of one alert. Times are seconds from the start of a case."""

    def __init__(self, system: System, environment: Environment, alert: str) -> None:
        self.system, self.environment, self.alert = system, environment, alert
        self.slo = system.slo[system.alerts[alert].slo]
        self.limit = system.limit_of(alert)
        self.step = max(environment.scrape_interval_s, environment.evaluation_interval_s)
        self.lasting = lasting(system, environment, alert)
        self.window = self.slo.window if self.slo.over else 0.0
        self.shape: Shape = shape_of(system, environment, system.alerts[alert].slo, self.limit, self.step)

    def cases(self) -> list[Case]:
        enough = self._steps(self.window + self.lasting + _OVER_S)
        under, absent = Phase.UNDER, self._steps(self.lasting + self.window + _OVER_S) * self.step
        # A value over a limit of zero shows in the first sample; other windows must fill with it.
        filling = self.window if self.window and self.limit.bound else self.step
        early = 2 * self.step if self.window else self.step  # engines differ on whether a window's left edge is in it
        start = self._steps(_QUIET_S) * self.step
        crossing = start + filling
        firing = crossing + self.lasting
        end = start + enough * self.step
        quiet = self._steps(_QUIET_S)
        return [
            self._case(
                "just under the threshold is silent",
                self.shape.series([(Phase.GOOD, quiet), (under, enough)]),
                {crossing + self.lasting + _OVER_S / 2: None},
            ),
            self._case(
                f"just over it fires after {duration(self.lasting)}, not before, and resolves",
                self.shape.series([(Phase.GOOD, quiet), (Phase.OVER, enough), (Phase.GOOD, quiet)]),
                {
                    start: None,
                    max(start, firing - early): None,
                    firing: self._fired(measured(self.shape.over, self.slo.unit)),
                    end: self._fired(measured(self.shape.over, self.slo.unit)),
                    end + self.window + 2 * self.step: None,
                },
            ),
            self._silent_series(absent),
        ]

    def _silent_series(self, late: float) -> Case:
        if not self.shape.absent_is_over:
            return self._case("no series at all: it cannot fire, the absence does", [], {late: None})
        fired = self._fired(measured(self.shape.over, self.slo.unit))
        before = {self.lasting - self.step: None} if self.lasting else {}
        return self._case("no series at all fires like the condition itself", [], {**before, self.lasting: fired})

    def _fired(self, value: str) -> Texts:
        return texts(self.system, self.environment, self.alert, value)

    def _steps(self, seconds: float) -> int:
        return int(-(-seconds // self.step))

    def _case(self, title: str, series: list[dict[str, str]], expected: dict[float, Texts | None]) -> Case:
        return {
            "name": f"{metric(self.alert)}: {title}",
            "interval": prom_duration(self.step),
            "input_series": series,
            "alert_rule_test": [
                _expect(metric(self.alert), at, [said] if said else []) for at, said in expected.items()
            ],
        }


def _absence(system: System, environment: Environment) -> list[Case]:
    entry = system.no_data
    step, late = environment.evaluation_interval_s, absence_lasting(system, environment)
    said = [absent_texts(system, environment, series, slos) for series, slos in series_of(system).items()]
    present = [
        {"series": f"{series}{{{environment.metric_selector}}}", "values": f"1+0x{int(3600 // step)}"}
        for series in series_of(system)
    ]
    name = metric(entry.alert)
    return [
        {
            "name": f"{name}: every series that rules stand on is missed after {duration(late)}",
            "interval": prom_duration(step),
            "input_series": [],
            "alert_rule_test": [_expect(name, late - step, []), _expect(name, late, said)],
        },
        {
            "name": f"{name}: nothing is missed while they exist",
            "interval": prom_duration(step),
            "input_series": present,
            "alert_rule_test": [_expect(name, 3600.0, [])],
        },
    ]


def _expect(alert: str, at: float, said: list[Texts]) -> dict[str, Any]:
    return {
        "eval_time": prom_duration(at),
        "alertname": alert,
        "exp_alerts": [{"exp_labels": one.labels, "exp_annotations": one.annotations} for one in said],
    }
