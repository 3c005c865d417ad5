"""What drills may touch in one environment, and how what is no part of the system is taken away and brought back."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from muster.system.fact import Fact, FactError, Ratio, Seconds
from muster.system.units import Unit, parse_quantity, pattern_of

PerSecond = Annotated[
    float,
    BeforeValidator(
        lambda text: parse_quantity(text, Unit.PER_SECOND),
        json_schema_input_type=Annotated[str, Field(pattern=pattern_of(Unit.PER_SECOND))],
    ),
]


class LoadBound(Fact):
    """The most load that may be sent here. Without it none is, unless the environment is on this very machine."""

    most_rate: PerSecond
    most_time_s: Seconds = Field(alias="most_time", gt=0)


# An alert's name, or labels that it must have with these values; shell patterns, so that KubeScheduler* is one entry.
AlertPattern = (
    Annotated[str, Field(min_length=1)] | Annotated[dict[str, Annotated[str, Field(min_length=1)]], Field(min_length=1)]
)


class Guard(Fact):
    """What drills may touch here. What it does not allow, no experiment can."""

    namespaces: list[str] = Field(default_factory=list)  # empty: nothing may be touched
    max_pods: int = 1
    max_share: Ratio = 1.0  # of the ready replicas that open faults may touch; a bad release touches all of them
    nodes: bool = False  # whether nodes may be cordoned: that concerns everybody's pods
    allow_load: bool = False
    load: LoadBound | None = None  # required for load on anything but loopback
    user_errors_above: Ratio = 0.5  # of users' requests: over it a drill is ended, unless it states its own budget
    ignore_alerts: list[AlertPattern] = Field(default_factory=list)  # of others: no reason to end a drill

    def ignores(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is one of ``ignore_alerts``."""
        wanted = ({"alertname": one} if isinstance(one, str) else one for one in self.ignore_alerts)
        return any(all(fnmatchcase(labels.get(key, ""), value) for key, value in one.items()) for one in wanted)


class Outage(Fact):
    """How a component beside the system (Prometheus, Alertmanager) is taken away for a drill, and brought back.

    Either two commands (``stop``, ``start``; ``muster`` means this very Muster, no shell is involved) or a ``workload``
    whose replicas are set to 0, ``<namespace>/<deployment or statefulset>/<name>``, in a namespace that the guard
    allows.
    """

    stop: list[str] = Field(default_factory=list)
    start: list[str] = Field(default_factory=list)
    workload: str = Field("", pattern=r"^([a-z0-9.-]+/(deployment|statefulset)/[a-z0-9.-]+)?$")

    @model_validator(mode="after")
    def _one_way(self) -> Outage:
        if bool(self.stop) != bool(self.start):
            raise FactError("an outage needs both stop and start", "start" if self.stop else "stop")
        if bool(self.stop) == bool(self.workload):
            raise FactError("an outage is either stop and start, or a workload", "workload")
        return self
