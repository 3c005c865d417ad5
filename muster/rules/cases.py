"""Facts -> promtool's test cases: each alert proven in virtual time, at the runbooks' own windows.

For each alert: silent just under its threshold, silent just under its duration, firing just over both, gone afterwards,
and what happens when its series do not exist at all. In each case one indicator moves and the rest of the system is
well: so it is in production, and promtool need not write the texts of absences that nobody asks about, which took half
of its time.
"""

from __future__ import annotations

from typing import Any

from muster.errors import UsageError
from muster.rules.names import Texts, absence_lasting, absent_texts, lasting, metric, of_each_release, series_of, texts
from muster.rules.shapes import Phase, Shape, Stretches, labels_of, measured, shape_of
from muster.system.environment import Environment
from muster.system.model import System
from muster.system.promql import of_canary, prom_duration
from muster.system.units import duration

Case = dict[str, Any]
_MARGIN = 4  # by how many samples a stretch is longer than needed; promtool's time goes by samples
_BEFORE = 0.1  # of a window: so much good in it outweighs what is just over, until the window holds nothing else


def case_file(system: System, environment: Environment) -> dict[str, Any]:
    """The content of a file for ``promtool test rules``; it stands in ``cases/`` beside ``rules/``.

    Raises :class:`~muster.errors.UsageError` for a scaled environment (the cases prove true-scale rules) and for an
    alert whose SLO has no ``example`` to make series from.
    """
    if environment.time_scale != 1:
        raise UsageError(f"cases prove rules at true scale; environment {environment.name} is scaled")
    alerts = [_Alert(system, environment, alert) for alert in system.alerts]
    alone = of_canary(environment)
    canaries = [_Alert(system, alone, alert, canary=True) for alert in of_each_release(system)] if alone else []
    well = _Well(system, environment, alerts)
    return {
        "rule_files": [f"../rules/{system.name}.yml"],
        "evaluation_interval": prom_duration(environment.evaluation_interval_s),
        "tests": [
            *(case for alert in (*alerts, *canaries) for case in alert.cases(well)),
            *_absence(system, environment, alerts, well),
        ],
    }


class _Alert:
    """The cases of one alert. Times are seconds from the start of a case."""

    def __init__(self, system: System, environment: Environment, alert: str, *, canary: bool = False) -> None:
        self.system, self.environment, self.alert, self.canary = system, environment, alert, canary
        self.slo = system.slo[system.alerts[alert].slo]
        self.limit = system.limit_of(alert)
        self.step = max(environment.scrape_interval_s, environment.evaluation_interval_s)
        self.lasting = lasting(system, environment, alert)
        self.window = self.slo.window if self.slo.over else 0.0
        self.shape: Shape = shape_of(system, environment, system.alerts[alert].slo, self.limit, self.step)

    def cases(self, well: _Well) -> list[Case]:
        before = _MARGIN + self._steps(self.window * _BEFORE)
        enough, after = (_MARGIN + self._steps(seconds) for seconds in (self.window + self.lasting, self.window))
        # A value over a limit of zero shows in the first sample; other windows must fill with it.
        filling = self.window if self.window and self.limit.bound else self.step
        early = 2 * self.step if self.window else self.step  # engines differ on whether a window's left edge is in it
        start, end = before * self.step, (before + enough) * self.step
        firing = start + filling + self.lasting
        fired = self._fired()
        return [
            self._case(
                "just under the threshold is silent",
                self._world(well, [(Phase.GOOD, before), (Phase.UNDER, enough)]),
                {end: None},
            ),
            self._case(
                f"just over it fires after {duration(self.lasting)}, not before, and resolves",
                self._world(well, [(Phase.GOOD, before), (Phase.OVER, enough), (Phase.GOOD, after)]),
                {
                    start: None,
                    max(start, firing - early): None,
                    firing: fired,
                    end: fired,
                    end + self.window + 2 * self.step: None,
                },
            ),
        ]

    def silent_series(self) -> dict[float, Texts | None]:
        """What is expected of this alert, and when, while no series exists at all."""
        if not self.shape.absent_is_over:
            return {self.lasting + self.window + _MARGIN * self.step: None}
        before: dict[float, Texts | None] = {self.lasting - self.step: None} if self.lasting else {}
        return {**before, self.lasting: self._fired()}

    def _world(self, well: _Well, stretches: Stretches) -> list[dict[str, str]]:
        """What moves this alert, in a system that is well; a canary's series stand beside those of the rest."""
        moved, samples = self.shape.series(stretches), sum(count for _, count in stretches)
        return [*moved, *well.throughout(samples)] if self.canary else well.beside(moved, samples)

    def _fired(self) -> Texts:
        value = measured(self.shape.over, self.slo.unit)
        return texts(self.system, self.environment, self.alert, value, canary=self.canary)

    def _steps(self, seconds: float) -> int:
        return int(-(-seconds // self.step))

    def _case(self, title: str, series: list[dict[str, str]], expected: dict[float, Texts | None]) -> Case:
        return {
            "name": f"{metric(self.alert)}{' of the canary' if self.canary else ''}: {title}",
            "interval": prom_duration(self.step),
            "input_series": series,
            "alert_rule_test": _expectations(metric(self.alert), expected),
        }


class _Well:
    """The system while it is well: every series that its rules stand on, with values that no alert minds."""

    def __init__(self, system: System, environment: Environment, alerts: list[_Alert]) -> None:
        strictest: dict[str, _Alert] = {}
        for alert in sorted(alerts, key=lambda one: -one.limit.bound if one.limit.above is None else one.limit.bound):
            strictest.setdefault(system.alerts[alert.alert].slo, alert)
        self.shapes = [alert.shape for alert in strictest.values()]
        self.unshaped = {
            series: f"{series}{{{labels_of(system.slo[slos[0]].query, environment)}}}"
            for series, slos in series_of(system).items()
        }

    def throughout(self, samples: int) -> list[dict[str, str]]:
        """All of them, for so many samples after the first."""
        shaped = [series for shape in self.shapes for series in shape.series([(Phase.GOOD, samples)])]
        known = {_name(series) for series in shaped}
        rest = [series for name, series in self.unshaped.items() if name not in known]
        return [*shaped, *({"series": series, "values": f"1+0x{samples}"} for series in rest)]

    def beside(self, moved: list[dict[str, str]], samples: int) -> list[dict[str, str]]:
        """Series of one indicator that moves, and everything else as it is while all is well."""
        own = {_name(series) for series in moved}
        return [*moved, *(series for series in self.throughout(samples) if _name(series) not in own)]


def _name(series: dict[str, str]) -> str:
    return series["series"].partition("{")[0]


def _absence(system: System, environment: Environment, alerts: list[_Alert], well: _Well) -> list[Case]:
    step, late = environment.evaluation_interval_s, absence_lasting(system, environment)
    name = metric(system.no_data.alert)
    said = [absent_texts(system, environment, series, slos) for series, slos in series_of(system).items()]
    silent = [one for alert in alerts for one in _expectations(metric(alert.alert), alert.silent_series())]
    spaced = max(environment.scrape_interval_s, step)
    long_since = max([2 * late, *(alert.window + alert.lasting + _MARGIN * spaced for alert in alerts)])
    return [
        {
            "name": f"no series at all: what reads absence fires, nothing else can, and {name} says so",
            "interval": prom_duration(step),
            "input_series": [],
            "alert_rule_test": [_expect(name, late - step, []), _expect(name, late, said), *silent],
        },
        {
            "name": "all is well: no series is missed, and no alert fires",
            "interval": prom_duration(spaced),
            "input_series": well.throughout(int(-(-long_since // spaced))),
            "alert_rule_test": [
                _expect(one, long_since, []) for one in (name, *(metric(alert.alert) for alert in alerts))
            ],
        },
    ]


def _expectations(alert: str, expected: dict[float, Texts | None]) -> list[dict[str, Any]]:
    return [_expect(alert, at, [said] if said else []) for at, said in expected.items()]


def _expect(alert: str, at: float, said: list[Texts]) -> dict[str, Any]:
    return {
        "eval_time": prom_duration(at),
        "alertname": alert,
        "exp_alerts": [{"exp_labels": one.labels, "exp_annotations": one.annotations} for one in said],
    }
