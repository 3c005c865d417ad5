"""The facts about one system, typed. ``systems/<name>.yaml`` is validated into :class:`System`.

Every number stands once, with the runbook section it comes from. Thresholds carry their unit as text in the file and a
float in the base unit (:class:`~muster.system.units.Unit`) here.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from muster.system import inline, references
from muster.system.environment import Channel, Environment, KubernetesSource
from muster.system.expectations import Certificates, Dashboard, Load, Logs, Mesh, MetricName, Pods, Pqc, Scrape
from muster.system.fact import Fact, FactError, Seconds, Source
from muster.system.guard import Guard
from muster.system.people import Contact, Document, Escalation, Runbook
from muster.system.rollback import Rollback, RollbackFailed
from muster.system.units import Unit, duration, parse_quantity, show

__all__ = [
    "LEVELS", "Action", "Alert", "Certificates", "Channel", "Contact", "Dashboard", "Document", "Environment",
    "Escalation", "Example", "Fact", "Guard", "KubernetesSource", "LevelName", "Limit", "Load", "Logs", "Mesh",
    "MetricName", "NoData", "Pods", "Pqc", "Rollback", "RollbackFailed", "Runbook", "Scrape", "Seconds", "Severity",
    "Slo", "System",
]  # fmt: skip

Severity = Literal["critical", "warning", "info"]
Action = Literal["rollback", "restart", "scale", "escalate", "none"]
Sev = Literal["SEV-1", "SEV-2", "SEV-3"]
LevelName = Literal["objective", "warning", "critical", "rollback"]
LEVELS: tuple[LevelName, ...] = ("objective", "warning", "critical", "rollback")
_SELECTED = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{")  # a metric's name before its matchers
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class Limit(Fact):
    """One rung of a ladder. An objective says where good is; the other levels say where bad begins."""

    above: float | None = None
    below: float | None = None
    for_s: Seconds = Field(0.0, alias="for")
    source: Source
    note: str = ""

    @property
    def bound(self) -> float:
        """The number itself, in the indicator's base unit."""
        value = self.above if self.above is not None else self.below
        assert value is not None  # noqa: S101 - validated by Slo
        return value

    @property
    def operator(self) -> Literal[">", "<"]:
        """The comparison, as PromQL and people write it."""
        return ">" if self.above is not None else "<"

    def holds(self, value: float) -> bool:
        """Whether the comparison as written is true of ``value`` (NaN: never)."""
        return value > self.above if self.above is not None else value < self.bound


class Example(Fact):
    """Which raw series make the indicator take a given value; promtool's cases are generated from it.

    ``series`` (and ``rest``, its complement in a ratio) are written as in PromQL; the environment's matchers are added.
    """

    shape: Literal["gauge", "rate", "increase", "events", "ratio", "quantile", "down"]
    series: str
    rest: str = ""
    quantile: float = 0.95


class Slo(Fact):
    """One indicator: how it is measured and its ladder of limits."""

    title: str
    unit: Unit
    query: str  # PromQL; {selector} (or {pods}) and {window} are filled in per environment
    per_replica: str = ""  # the same by (pod), where one bad replica of many must show
    window: Seconds = Field(60.0, gt=0)  # of rates and quantiles
    series: list[str] = Field(default_factory=list)  # metric names the query stands on: absent means UNKNOWN, never 0
    reads_absence: bool = False  # no series at all is a value of this indicator, not missing data
    example: Example | None = None
    scrape: Scrape | None = None  # the same without Prometheus; None: it cannot be told from /metrics
    runbook: str  # "<runbook>#<section>"
    objective: Limit | None = None
    target: Limit | None = None  # what is aimed at beyond the objective; missing it breaks nothing
    warning: Limit | None = None
    critical: Limit | None = None
    rollback: Limit | None = None

    @model_validator(mode="before")
    @classmethod
    def _parse_limits(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or raw.get("unit") not in list(Unit):
            return raw  # pydantic names what is wrong
        unit, parsed = Unit(raw["unit"]), dict(raw)
        for level in (*LEVELS, "target"):
            rung = raw.get(level)
            if not isinstance(rung, dict):
                continue
            given = [key for key in ("above", "below") if key in rung]
            if len(given) != 1:
                raise FactError("needs exactly one of 'above' and 'below'", level)
            try:
                parsed[level] = {**rung, given[0]: parse_quantity(rung[given[0]], unit)}
            except ValueError as error:
                raise FactError(str(error), level, given[0]) from None
        return parsed

    @model_validator(mode="after")
    def _rungs_rise(self) -> Slo:
        rungs = [(level, limit) for level in LEVELS[1:] if (limit := self.limit(level)) is not None]
        for (lower, first), (higher, second) in pairwise(rungs):
            easier = second.bound < first.bound if first.above is not None else second.bound > first.bound
            if first.operator != second.operator or easier:
                raise FactError(
                    f"expected it at {first.operator} {show(first.bound, self.unit)} ({lower}) or beyond", higher
                )
        return self

    @model_validator(mode="after")
    def _absence_would_show(self) -> Slo:
        if not self.reads_absence:
            for name in _SELECTED.findall(_QUOTED.sub('""', self.query)):
                if name not in self.series:
                    raise FactError(
                        f"the query reads {name}, whose absence shows only when it is listed here", "series"
                    )
        return self

    def limit(self, level: LevelName) -> Limit | None:
        """The rung of that level, if the runbook has one."""
        limit: Limit | None = getattr(self, level)
        return limit

    @property
    def over(self) -> str:
        """The window as people write it; empty where the indicator is a value of the instant."""
        return duration(self.window) if "{window}" in self.query else ""


class Alert(Fact):
    """One alert of the runbooks: an SLO's level that somebody is told about."""

    title: str
    aliases: list[str] = Field(default_factory=list)  # the same alert under the other runbook's name
    slo: str
    level: LevelName
    for_s: Seconds | None = Field(None, alias="for")  # None: the level's own
    severity: Severity
    sev: Sev | None = None  # class of the incident that it begins, where the documents give one
    owner: str = ""  # contact who keeps the alert and its section right; empty: the system's owner
    tell: list[str] = Field(min_length=1)  # contacts
    within_s: Seconds = Field(900.0, alias="within")  # response time
    action: Action = "none"
    runbook: str
    source: Source


class NoData(Fact):
    """The alert that fires for each series that alerts stand on and that does not exist."""

    alert: str
    title: str
    for_s: Seconds = Field(300.0, alias="for")
    severity: Severity = "warning"
    tell: list[str] = Field(min_length=1)
    within_s: Seconds = Field(900.0, alias="within")
    runbook: str
    source: Source


class System(Fact):
    """One product with its SLOs, alerts and runbooks."""

    schema_: Literal["muster/system/v1"] = Field(alias="schema")
    name: str
    title: str
    documents: dict[str, Document] = Field(
        default_factory=dict
    )  # when given, every source begins with one of them: "<document> / <section>"
    runbooks: dict[str, Runbook]
    contacts: dict[str, Contact] = Field(min_length=1)
    owner: str = ""  # contact who keeps alerts and sections right; empty: the first level of escalation
    escalation: list[Escalation] = Field(default_factory=list)
    slo: dict[str, Slo]
    alerts: dict[str, Alert]
    no_data: NoData  # required: no data is never a pass
    rollback_failed: RollbackFailed | None = None  # what the responder raises; None: nobody but the default route
    pods: Pods | None = None
    mesh: Mesh | None = None
    pqc: Pqc | None = None
    certificates: Certificates | None = None
    logs: Logs | None = None
    dashboards: list[Dashboard] = Field(default_factory=list)
    metric_names: list[MetricName] = Field(default_factory=list)
    load: Load | None = None
    dependencies: list[str] = Field(default_factory=list)
    environments: dict[str, dict[str, Any]]  # validated when one is chosen: load.environment()
    _file: Path | None = PrivateAttr(None)  # where it was read, for messages

    @model_validator(mode="after")
    def _references_exist(self) -> System:
        references.check(self)
        return self

    @model_validator(mode="after")
    def _no_secret_stands_here(self) -> System:
        inline.refuse_secrets(self.environments, "environments")
        return self

    def limit_of(self, alert: str) -> Limit:
        """The rung that this alert stands on."""
        entry = self.alerts[alert]
        limit = self.slo[entry.slo].limit(entry.level)
        assert limit is not None  # noqa: S101 - validated above
        return limit

    def duration_of(self, alert: str) -> float:
        """How long the condition must last before this alert fires, in seconds at true scale."""
        own = self.alerts[alert].for_s
        return own if own is not None else self.limit_of(alert).for_s

    def owner_of(self, alert: str) -> str:
        """The contact who keeps this alert and its section right."""
        return self.alerts[alert].owner or self.owner or self.first_level

    @property
    def first_level(self) -> str:
        """The contact who is told first, and of everything that nobody else is told of."""
        return min(self.contacts, key=lambda name: self.contacts[name].level)

    def escalation_of(self, alert: str) -> list[Escalation]:
        """Who is called next while this alert stays open, soonest first. Nobody twice, and nobody told at once."""
        entry = self.alerts[alert]
        due = sorted(
            (step for step in self.escalation if step.of in (entry.severity, entry.sev, alert)),
            key=lambda step: step.after_s,
        )
        return list({step.to: step for step in reversed(due) if step.to not in entry.tell}.values())[::-1]

    def runbook_file(self, name: str) -> Path | None:
        """The Markdown of that runbook, below the folder that holds ``systems/``; None when the facts name none."""
        runbook = self.runbooks[name]
        relative = runbook.file or ("" if "://" in runbook.url else runbook.url)
        return (self._file.parent.parent if self._file else Path()) / relative if relative else None

    def runbook_url(self, anchor: str, base: str = "") -> str:
        """The link to a section written as ``<runbook>#<section>``; a relative address is below ``base``, if given."""
        name, _, section = anchor.partition("#")
        url = self.runbooks[name].url
        if base and "://" not in url:
            url = f"{base.rstrip('/')}/{url}"
        return f"{url}#{section}" if section else url
