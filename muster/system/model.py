"""The facts about one system, typed. ``systems/<name>.yaml`` is validated into :class:`System`.

Every number stands once, with the runbook section it comes from. Thresholds carry their unit as text in the file and a
float in the base unit (:class:`~muster.system.units.Unit`) here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from muster.system.environment import Channel, Environment, Guard, KubernetesSource, Rollback
from muster.system.expectations import Certificates, Dashboard, Load, Logs, Mesh, MetricName, Pods, Pqc
from muster.system.fact import Fact, FactError, Seconds, Source
from muster.system.units import Unit, duration, parse_quantity

__all__ = [
    "LEVELS", "Action", "Alert", "Certificates", "Channel", "Contact", "Dashboard", "Document", "Environment",
    "Example", "Fact", "Guard", "KubernetesSource", "LevelName", "Limit", "Load", "Logs", "Mesh", "MetricName",
    "NoData", "Pods", "Pqc", "Rollback", "Runbook", "Seconds", "Severity", "Slo", "System",
]  # fmt: skip

Severity = Literal["critical", "warning", "info"]
Action = Literal["rollback", "restart", "scale", "escalate", "none"]
LevelName = Literal["objective", "warning", "critical", "rollback"]
LEVELS: tuple[LevelName, ...] = ("objective", "warning", "critical", "rollback")


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
    window: Seconds = 60.0  # of rates and quantiles
    series: list[str] = Field(default_factory=list)  # metric names the query stands on: absent means UNKNOWN, never 0
    reads_absence: bool = False  # no series at all is a value of this indicator, not missing data
    example: Example | None = None
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


class Document(Fact):
    """One of the documents that the sources name, as it was when the facts were taken from it."""

    title: str
    version: str
    date: str


class Runbook(Fact):
    """Where a runbook can be read; sections are anchors in it."""

    title: str
    url: str


class Contact(Fact):
    """A role that is told; how it is reached differs by environment."""

    title: str
    level: int = 1  # of escalation, 1 is told first
    within_s: Seconds = Field(900.0, alias="within")  # response time
    when: list[str] = Field(default_factory=list)  # what is escalated to this role
    source: Source = ""


class System(Fact):
    """One product with its SLOs, alerts and runbooks."""

    schema_: Literal["muster/system/v1"] = Field(alias="schema")
    name: str
    title: str
    documents: dict[str, Document] = Field(
        default_factory=dict
    )  # when given, every source begins with one of them: "<document> / <section>"
    runbooks: dict[str, Runbook]
    contacts: dict[str, Contact]
    slo: dict[str, Slo]
    alerts: dict[str, Alert]
    no_data: NoData  # required: no data is never a pass
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
        for name, alert in self.alerts.items():
            if alert.slo not in self.slo:
                raise FactError(f"there is no slo {alert.slo!r}", "alerts", name, "slo")
            if self.slo[alert.slo].limit(alert.level) is None:
                raise FactError(f"slo {alert.slo!r} has no level {alert.level!r}", "alerts", name, "level")
        for place, fact in self._facts():
            for contact in getattr(fact, "tell", []):
                if contact not in self.contacts:
                    raise FactError(f"{contact!r} is not one of contacts", *place, "tell")
            runbook = getattr(fact, "runbook", None)
            if runbook and runbook.partition("#")[0] not in self.runbooks:
                raise FactError(f"there is no runbook {runbook.partition('#')[0]!r}", *place, "runbook")
            self._check_sources(place, getattr(fact, "source", []))
        return self

    def _facts(self) -> Iterator[tuple[tuple[str | int, ...], Fact]]:
        """Everything that can name a source, a runbook or somebody to tell, with its place."""
        yield ("no_data",), self.no_data
        for kind in ("alerts", "slo", "contacts"):
            for name, fact in getattr(self, kind).items():
                yield (kind, name), fact
        for name, slo in self.slo.items():
            for level in (*LEVELS, "target"):
                if (limit := getattr(slo, level)) is not None:
                    yield ("slo", name, level), limit
        for kind in ("pods", "mesh", "pqc", "certificates", "load"):
            if (fact := getattr(self, kind)) is not None:
                yield (kind,), fact
        bursts = self.logs.bursts if self.logs else []
        for place, facts in (
            (("logs", "bursts"), bursts),
            (("dashboards",), self.dashboards),
            (("metric_names",), self.metric_names),
        ):
            for index, fact in enumerate(facts):
                yield (*place, index), fact

    def _check_sources(self, place: tuple[str | int, ...], source: Source) -> None:
        for text in [source] if isinstance(source, str) else source:
            if text and self.documents and text.partition(" / ")[0] not in self.documents:
                known = ", ".join(self.documents)
                raise FactError(f"{text!r} does not begin with one of the documents ({known})", *place, "source")

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

    def runbook_url(self, anchor: str) -> str:
        """The link to a section written as ``<runbook>#<section>``."""
        name, _, section = anchor.partition("#")
        url = self.runbooks[name].url
        return f"{url}#{section}" if section else url
