"""What the runbooks expect besides their SLOs: of pods, mesh, key exchange, certificates, logs, dashboards, load."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from muster.system.fact import Fact, FactError, Seconds, Source


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise FactError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compiles)]


class Pods(Fact):
    """What the runbooks expect of the workload's pods."""

    most_restarts: int = Field(ge=0)
    restart_window_s: Seconds = Field(alias="restart_window", gt=0)
    least_replicas: int = Field(1, ge=1)
    scale_to: int | None = Field(None, ge=1)  # replicas that the remedies of the alerts scale to
    scale_up_to: int | None = Field(None, ge=1)  # replicas that the common procedure scales to: the most ever asked for
    raise_cpu_to: float | None = Field(None, gt=0)  # cores of a container, where scaling out is not enough
    source: Source

    @model_validator(mode="after")
    def _grows(self) -> Pods:
        steps = [self.least_replicas, *(n for n in (self.scale_to, self.scale_up_to) if n is not None)]
        if steps != sorted(steps):
            raise FactError("expected least_replicas <= scale_to <= scale_up_to", "scale_to")
        return self


class Mesh(Fact):
    """What the runbooks expect of the mesh."""

    least_peers: int = Field(ge=0)
    seen_within_s: Seconds | None = Field(None, alias="seen_within", gt=0)  # "alive" means answered within it; unscaled
    source: Source


class Pqc(Fact):
    """What the runbooks expect of post-quantum TLS."""

    allowed_groups: list[str] = Field(min_length=1)  # of the wire, as TLS names them
    allowed_algorithms: list[str] = Field(default_factory=list)  # of the status page
    modules: list[str] = Field(default_factory=list)  # Python modules that must be importable in a pod
    documented_module: str = ""  # what the documents import; not a module's name, so their command proves nothing
    fallback_forbidden: bool
    source: Source


class Certificates(Fact):
    """Where a pod keeps its certificates, and how long before their end somebody hears of it."""

    folder: str
    warn_before_s: Seconds = Field(alias="warn_before")
    fail_before_s: Seconds = Field(alias="fail_before")
    source: Source
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Certificates:
        if self.fail_before_s > self.warn_before_s:
            raise FactError("expected a warning earlier than the failure: fail_before <= warn_before", "fail_before")
        return self


class Burst(Fact):
    """Lines of one kind in the pods' logs, and how many of them in the window are normal for all pods together."""

    name: str
    pattern: Pattern  # Python's, searched in each line; case matters unless it says (?i)
    most: int = Field(ge=0)
    runbook: str
    step: int | None = None
    source: Source


class Logs(Fact):
    """What is looked for in the pods' logs."""

    window_s: Seconds = Field(alias="window", gt=0)  # divided by the environment's time scale, as every window is
    bursts: list[Burst] = Field(min_length=1)


class Dashboard(Fact):
    """A dashboard that Grafana must serve."""

    uid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    title: str = Field(min_length=1)
    slo: list[str] = Field(default_factory=list)  # its panels, in this order; empty: all
    runbook: str = ""
    source: Source


class MetricName(Fact):
    """A word that a runbook greps for in ``/metrics``, and the family that is meant by it.

    One that does not find its family is a trap: nothing found, or another family, reads as "nothing wrong".
    """

    pattern: Pattern  # as the document has it
    metric: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")  # the family's name, as in "# TYPE"
    runbook: str
    step: int | None = None
    source: Source
    note: str = ""

    @property
    def finds_it(self) -> bool:
        """Whether the runbook's ``grep`` finds the family that it means."""
        return re.search(self.pattern, self.metric) is not None


class Scrape(Fact):
    """How an indicator is made of two looks at ``/metrics`` where no Prometheus is.

    ``series`` (and ``of``, which a ratio is a share of) select as in PromQL; of a histogram, its ``_bucket``.
    """

    shape: Literal["gauge", "rate", "increase", "ratio", "quantile"]
    series: str
    of: str = ""
    quantile: float = Field(0.95, gt=0, lt=1)
    across: Literal["sum", "max"] = "sum"  # from the replicas' values to the system's

    @model_validator(mode="after")
    def _ratio_of_something(self) -> Scrape:
        if (self.shape == "ratio") != bool(self.of):
            raise FactError("a ratio, and nothing else, is a share of something", "of")
        return self


class Request(Fact):
    """One kind of request of the load mix."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    path: str = Field(pattern=r"^/")
    weight: int = Field(ge=1)  # relative to the others
    expect: int = Field(ge=100, le=599)  # the status of a good answer; any other is an error
    body: dict[str, Any] | list[Any] | None = None  # sent as JSON


class Load(Fact):
    """What users ask of the system."""

    mix: list[Request] = Field(min_length=1)
    source: Source
