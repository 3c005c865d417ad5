"""How an environment's releases are rolled back, what the responder may do besides, and when it refuses."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from muster.system.fact import Fact, FactError, Seconds, Source

Remedy = Literal["restart", "scale"]


class Canary(Fact):
    """A release that is tried beside the stable one: its own Deployment, its share of users in the ingress."""

    ingress: str  # carries ingress-nginx' canary annotations
    deployment: str
    drain_s: Seconds = Field(30.0, alias="drain")  # weight 0 to scaled down at most, at true scale
    metric_selector: str = ""  # label matchers of its own series: rollback triggers are then judged for it alone, too


class Command(Fact):
    """A program of the user's that rolls back. No shell; what it did is proven as ever, whatever it exits with."""

    argv: list[str] = Field(min_length=1)
    timeout_s: Seconds = Field(120.0, alias="timeout", gt=0)
    effect_within_s: Seconds = Field(10.0, alias="effect_within")  # after it ended; a pipeline may take a moment


class Rollback(Fact):
    """How a release is rolled back here, and when that is refused. Timeouts are real time, the rest at true scale."""

    # ``none``: somebody else rolls back (Argo Rollouts, Flagger). What the responder would have done is on record.
    strategy: Literal["kubernetes", "canary", "command", "none"] = "kubernetes"
    canary: Canary | None = None
    command: Command | None = None
    timeout_s: Seconds = Field(120.0, alias="timeout")
    cool_down_s: Seconds = Field(600.0, alias="cool_down")
    most_per_day: int = Field(3, ge=0)
    # A release that served well for longer than this before the fault began is not its cause.
    release_margin_s: Seconds = Field(86400.0, alias="release_margin")
    symptom_within_s: Seconds = Field(300.0, alias="symptom_within")  # from proof to symptom gone
    # Whether alerts that name no system or environment are of here: true where Alertmanager serves nobody else.
    take_unlabelled: bool = False
    allow: list[Remedy] = Field(default_factory=list)  # remedies that are carried out; the others are proposed
    remedy_cool_down_s: Seconds = Field(900.0, alias="remedy_cool_down")

    @model_validator(mode="after")
    def _strategy_is_described(self) -> Rollback:
        for name in ("canary", "command"):
            if self.strategy == name and getattr(self, name) is None:
                raise FactError(f"strategy {name} needs this section", name)
        if self.strategy == "none":
            for name in ("canary", "allow"):
                if getattr(self, name):
                    raise FactError("not with strategy none: then the responder carries nothing out", name)
        if self.command is not None and self.strategy != "command":
            raise FactError("is only for strategy command", "command")
        if self.canary is not None and self.strategy != "canary" and not self.canary.metric_selector:
            raise FactError(
                f"needed beside strategy {self.strategy}: without the matchers of its own series no alert speaks of it",
                "canary",
                "metric_selector",
            )
        return self


class RollbackFailed(Fact):
    """The alert that the responder raises by itself when a rollback failed or healed nothing: people must act."""

    alert: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    title: str
    tell: list[str] = Field(min_length=1)
    within_s: Seconds = Field(900.0, alias="within")
    runbook: str
    source: Source
