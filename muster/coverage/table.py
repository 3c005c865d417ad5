"""The table: every alert and every step of a system's runbooks against what proves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from muster.coverage import scan
from muster.coverage.excuses import Excuses, load
from muster.coverage.verdicts import EXPERIMENT, Last, last
from muster.report import runbook
from muster.report.runbook import Section
from muster.report.sections import section_title
from muster.rules.prometheus import groups
from muster.system.model import Environment, System
from muster.verdict import Verdict, worst

SCHEMA = "muster/coverage/v1"
EVERY_ALERT = "alert"  # the argument of a check that is asked of every alert
NEEDED = ("rule", "check", "experiment")  # of an alert


@dataclass(frozen=True, kw_only=True)
class Row:
    """One alert, or one step of a section (step 0: the section as a whole), and what proves it.

    ``missing`` is what it lacks (of an alert: rule, check, experiment; of a step: check), ``reasons`` why, by the same
    words; ``verdict`` is the worst that the last runs said of its checks and experiments, "" when none did.
    """

    kind: Literal["alert", "step"]
    anchor: str  # "<runbook>#<section>"
    section: str
    title: str
    step: int = 0
    rule: bool | None = None  # of an alert only
    checks: tuple[str, ...]
    experiments: tuple[str, ...]
    missing: tuple[str, ...]
    reasons: dict[str, str]
    verdict: str

    @property
    def unexcused(self) -> tuple[str, ...]:
        """What it lacks without a written reason."""
        return tuple(what for what in self.missing if what not in self.reasons)

    @property
    def label(self) -> str:
        """The alert's name, or ``High error rate, step 3``."""
        if self.kind == "alert":
            return self.title
        return f"{self.section}, step {self.step}" if self.step else self.section


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The whole table, the runs that its verdicts are from, and notes that are not true any more."""

    system: str
    rows: Sequence[Row]
    runs: dict[str, str]
    stale: tuple[str, ...]

    @property
    def unexcused(self) -> list[Row]:
        """What lacks something without a written reason: this list may not grow."""
        return [row for row in self.rows if row.unexcused]

    @property
    def counts(self) -> dict[str, int]:
        """How many alerts and steps there are, how many are covered, and how many have only a reason."""
        found: dict[str, int] = {}
        for kind in ("alert", "step"):
            rows = [row for row in self.rows if row.kind == kind]
            found[f"{kind}s"] = len(rows)
            found[f"{kind}s_covered"] = sum(not row.missing for row in rows)
            found[f"{kind}s_with_reason"] = sum(bool(row.missing) and not row.unexcused for row in rows)
        return found

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        rows = [{**asdict(row), "unexcused": row.unexcused} for row in self.rows]
        return {
            "schema": SCHEMA, "system": self.system, "counts": self.counts, "runs": self.runs, "stale": self.stale,
            "rows": rows,
        }  # fmt: skip


def cover(system: System, base: Path, reports: Path, environment: str = "") -> Coverage:
    """The table of a system whose ``checks/`` and ``experiments/`` are in ``base``."""
    checks, experiments = scan.checks(base / "checks"), scan.experiments(base / "experiments")
    said, excuses = last(reports, system.name, environment), load(system)
    table = _Table(system, checks, experiments, said, excuses)
    rows = [*table.alerts(), *table.steps()]
    return Coverage(system=system.name, rows=rows, runs=said.runs, stale=table.stale(rows))


class _Table:
    def __init__(
        self,
        system: System,
        checks: list[scan.Check],
        experiments: list[scan.Experiment],
        said: Last,
        excuses: Excuses,
    ) -> None:
        self._system, self._checks, self._experiments = system, checks, experiments
        self._said, self._excuses = said, excuses

    def alerts(self) -> Iterable[Row]:
        """One row for each alert of the facts, the one about absent data too."""
        bare = Environment.model_validate({"name": "any", "description": "what is rendered anywhere"})
        rules = {rule.get("alert") for group in groups(self._system, bare) for rule in group["rules"]}
        entries = {name: (alert.runbook, alert.slo) for name, alert in self._system.alerts.items()}
        entries[self._system.no_data.alert] = (self._system.no_data.runbook, "")
        for name, (anchor, slo) in entries.items():
            about = {slo, EVERY_ALERT} - {""}
            checks = {check.name for check in self._checks if check.anchor == anchor or about & check.readings}
            experiments = {one.name for one in self._experiments if one.alert == name}
            has = {"rule": name in rules, "check": bool(checks), "experiment": bool(experiments)}
            missing = tuple(what for what in NEEDED if not has[what])
            reasons = {what: reason for what in missing if (reason := self._excuses.alerts.get((name, what)))}
            yield Row(
                kind="alert",
                anchor=anchor,
                section=section_title(anchor),
                title=name,
                rule=has["rule"],
                checks=tuple(sorted(checks)),
                experiments=tuple(sorted(experiments)),
                missing=missing,
                reasons=reasons,
                verdict=self._verdict(checks, experiments, alert=name),
            )

    def steps(self) -> Iterable[Row]:
        """One row for each numbered step of each section; one for a section that has none."""
        for name in self._system.runbooks:
            for section in runbook.of(self._system, name):
                yield from self._section(f"{name}#{section.anchor}", section)

    def _section(self, anchor: str, section: Section) -> Iterable[Row]:
        steps = [(step.number, step.text) for step in section.steps] or [(0, section.title)]
        for number, text in steps:
            mine = [check for check in self._checks if check.anchor == anchor]
            # A check of the section as a whole is about no step of it, unless the section has none.
            checks = {check.name for check in mine if check.step == number or not section.steps}
            place = f"{anchor}/{number}"
            also = self._excuses.also.get(place, frozenset())
            checks |= also & {check.name for check in self._checks}
            experiments = {
                one.name for one in self._experiments if place in one.steps or one.finds & checks or one.name in also
            }
            missing: tuple[str, ...] = () if checks or experiments else ("check",)
            reason = self._excuses.steps.get(place, "") if missing else ""
            yield Row(
                kind="step",
                anchor=anchor,
                section=section.title,
                step=number,
                title=text,
                checks=tuple(sorted(checks)),
                experiments=tuple(sorted(experiments)),
                missing=missing,
                reasons={"check": reason} if reason else {},
                verdict=self._verdict(checks, experiments),
            )

    def _verdict(self, checks: set[str], experiments: set[str], *, alert: str = "") -> str:
        own = {name: f"{name}[{alert}]" for name in checks}  # of a check that is asked of every alert, this one's
        names = [own[name] if own[name] in self._said.verdicts else name for name in checks]
        names += [f"{EXPERIMENT}{name}" for name in experiments]
        said = [self._said.verdicts[name] for name in names if name in self._said.verdicts]
        judged = [Verdict(word) for word in said if word in list(Verdict)]
        return worst(judged).value if judged else ("SKIP" if said else "")

    def stale(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Notes that are not true any more: reasons for what is covered by now, names of what is not there."""
        known = {check.name for check in self._checks} | {one.name for one in self._experiments}
        gone = [f"{place}: {name}" for place, names in self._excuses.also.items() for name in sorted(names - known)]
        asked = {(row.title, what) for row in rows if row.kind == "alert" for what in row.missing}
        places = {f"{row.anchor}/{row.step}" for row in rows if row.kind == "step" and row.missing}
        alerts = [f"{alert}: {what}" for alert, what in self._excuses.alerts if (alert, what) not in asked]
        return (*gone, *alerts, *(place for place in self._excuses.steps if place not in places))
