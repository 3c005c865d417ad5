"""The facts about one system, typed. ``systems/<name>.yaml`` is validated into :class:`System`.

Every number stands once, with the runbook section it comes from. Thresholds carry their unit as text in the file and a
float in the base unit (:class:`~muster.system.units.Unit`) here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from muster.system.units import Unit, parse_duration, parse_quantity

Seconds = Annotated[float, BeforeValidator(parse_duration)]
Severity = Literal["critical", "warning", "info"]
Action = Literal["rollback", "restart", "scale", "escalate", "none"]
LEVELS = ("objective", "warning", "critical", "rollback")
LevelName = Literal["objective", "warning", "critical", "rollback"]


class Fact(BaseModel):
    """Base: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Limit(Fact):
    """One rung of a ladder. An objective says where good is; the other levels say where bad begins."""

    above: float | None = None
    below: float | None = None
    for_s: Seconds = Field(0.0, alias="for")
    source: str | list[str]
    note: str = ""

    @property
    def bound(self) -> float:
        """The number itself, in the indicator's base unit."""
        value = self.above if self.above is not None else self.below
        assert value is not None  # noqa: S101 - validated by Slo
        return value

    def holds(self, value: float) -> bool:
        """Whether the comparison as written is true of ``value`` (NaN: never)."""
        return value > self.above if self.above is not None else value < self.bound


class Slo(Fact):
    """One indicator: how it is measured and its ladder of limits."""

    title: str
    unit: Unit
    query: str  # PromQL; {selector}, {window} are filled in per environment
    per_replica: str = ""  # the same by (pod), where one bad replica of many must show
    window: Seconds = 60.0  # of rates and quantiles
    series: list[str] = []  # metric names the query stands on: absent means UNKNOWN, never 0
    runbook: str  # "<runbook>#<section>"
    objective: Limit | None = None
    warning: Limit | None = None
    critical: Limit | None = None
    rollback: Limit | None = None

    @model_validator(mode="before")
    @classmethod
    def _parse_limits(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or "unit" not in raw:
            return raw
        unit, parsed = Unit(raw["unit"]), dict(raw)
        for level in LEVELS:
            rung = raw.get(level)
            if not isinstance(rung, dict):
                continue
            given = [key for key in ("above", "below") if key in rung]
            if len(given) != 1:
                raise ValueError(f"{level} needs exactly one of 'above' and 'below'")
            parsed[level] = {**rung, given[0]: parse_quantity(rung[given[0]], unit)}
        return parsed

    def limit(self, level: LevelName) -> Limit | None:
        """The rung of that level, if the runbook has one."""
        limit: Limit | None = getattr(self, level)
        return limit


class Alert(Fact):
    """One alert of the runbooks: an SLO's level that somebody is told about."""

    title: str
    aliases: list[str] = []  # the same alert under the other runbook's name
    slo: str
    level: LevelName
    for_s: Seconds | None = Field(None, alias="for")  # None: the level's own
    severity: Severity
    tell: list[str]  # contacts
    within_s: Seconds = Field(900.0, alias="within")  # response time
    action: Action = "none"
    runbook: str
    source: str | list[str]


class Runbook(Fact):
    """Where a runbook can be read; sections are anchors in it."""

    title: str
    url: str


class Contact(Fact):
    """A role that is told; how it is reached differs by environment."""

    title: str
    level: int = 1


class Channel(Fact):
    """How one contact is reached in one environment. Secrets only by file."""

    kind: Literal["pagerduty", "webhook", "slack", "email"]
    url: str
    secret_file: str = ""


class KubernetesSource(Fact):
    """The workload on its cluster."""

    kubeconfig: str
    context: str | None = None
    namespace: str
    deployment: str
    container: str
    selector: str  # label selector of its pods
    port: int  # HTTP port of a pod
    mesh_port: int | None = None


class Rollback(Fact):
    """How a release is rolled back here, and when that is refused."""

    strategy: Literal["kubernetes"] = "kubernetes"
    timeout_s: Seconds = Field(120.0, alias="timeout")
    cool_down_s: Seconds = Field(600.0, alias="cool_down")


class Guard(Fact):
    """What drills may touch here."""

    namespaces: list[str] = []  # empty: nothing may be touched
    max_pods: int = 1
    allow_load: bool = False


class Environment(Fact):
    """One running copy of the system. ``${key}`` is filled in from ``endpoints_file`` before validation."""

    name: str = ""
    description: str
    embedded: bool = False  # Muster may boot it when it does not run
    endpoints_file: str = ""
    time_scale: float = 1.0  # windows are divided by it, and nothing else
    scrape_interval_s: Seconds = Field(15.0, alias="scrape_interval")  # at true scale
    evaluation_interval_s: Seconds = Field(15.0, alias="evaluation_interval")
    group_wait_s: Seconds = Field(30.0, alias="group_wait")  # at true scale; rollback triggers do not wait
    metric_selector: str = ""  # label matchers for {selector}
    kubernetes: KubernetesSource | None = None
    http: str = ""  # the users' way in
    prometheus: str = ""
    alertmanager: str = ""
    inbox: str = ""  # where pages can be read back as evidence
    responder: str = ""
    responder_token_file: str = ""
    contacts: dict[str, Channel] = {}
    rollback: Rollback = Rollback()
    guard: Guard = Guard()
    base_dir: Path = Path()

    def scaled(self, seconds: float) -> float:
        """A true-scale duration at this environment's time scale, in seconds."""
        return seconds / self.time_scale


class Mesh(Fact):
    """What the runbooks expect of the mesh."""

    least_peers: int
    source: str | list[str]


class Pqc(Fact):
    """What the runbooks expect of post-quantum TLS."""

    allowed_groups: list[str]
    fallback_forbidden: bool
    source: str | list[str]


class System(Fact):
    """One product with its SLOs, alerts and runbooks."""

    schema_: Literal["muster/system/v1"] = Field(alias="schema")
    name: str
    title: str
    runbooks: dict[str, Runbook]
    contacts: dict[str, Contact]
    slo: dict[str, Slo]
    alerts: dict[str, Alert]
    mesh: Mesh | None = None
    pqc: Pqc | None = None
    dependencies: list[str] = []
    environments: dict[str, dict[str, Any]]  # validated when one is chosen: load.environment()

    @model_validator(mode="after")
    def _references_exist(self) -> System:
        for name, alert in self.alerts.items():
            if alert.slo not in self.slo:
                raise ValueError(f"alerts.{name}.slo: there is no slo {alert.slo!r}")
            if self.slo[alert.slo].limit(alert.level) is None:
                raise ValueError(f"alerts.{name}.level: slo {alert.slo!r} has no level {alert.level!r}")
            unknown = [contact for contact in alert.tell if contact not in self.contacts]
            if unknown or not alert.tell:
                raise ValueError(f"alerts.{name}.tell: {unknown[0] if unknown else 'nobody'} is not one of contacts")
        anchors = {
            **{f"slo.{n}": s.runbook for n, s in self.slo.items()},
            **{f"alerts.{n}": a.runbook for n, a in self.alerts.items()},
        }
        for where, anchor in anchors.items():
            if anchor.partition("#")[0] not in self.runbooks:
                raise ValueError(f"{where}.runbook: there is no runbook {anchor.partition('#')[0]!r}")
        return self

    def runbook_url(self, anchor: str) -> str:
        """The link to a section written as ``<runbook>#<section>``."""
        name, _, section = anchor.partition("#")
        url = self.runbooks[name].url
        return f"{url}#{section}" if section else url
