"""Profiles of load, ``loadtests/profiles/*.yaml``: what is offered over time, with rates that follow the promises."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from muster.errors import UsageError
from muster.judge.seconds import Step
from muster.system import System
from muster.system.fact import Fact, FactError, Seconds
from muster.system.load import load_fact
from muster.system.place import offer
from muster.system.promised import is_rate, rate_of

_CHECKOUT = Path(__file__).resolve().parents[2]
MOST_STEPS = 200


class Part(Fact):
    """A part of a profile: a rate that stays, goes evenly ``from`` .. ``to``, or climbs there ``by`` steps.

    Rates are written ``6800/s``, ``objective``, ``target`` (of the system's throughput) or ``50% of target``; ``for``
    is how long it takes, of each step where there are steps.
    """

    for_s: Seconds = Field(alias="for", gt=0)
    rate: str = ""
    from_: str = Field("", alias="from")
    to: str = ""
    by: str = ""

    @field_validator("rate", "from_", "to", "by")
    @classmethod
    def _written_well(cls, text: str) -> str:
        return is_rate(text) if text else text

    @model_validator(mode="after")
    def _one_way(self) -> Part:
        if bool(self.rate) == bool(self.from_) or bool(self.from_) != bool(self.to):
            raise FactError("a part has either a rate, or from and to", "rate")
        if self.by and self.rate:
            raise FactError("steps go from one rate to another", "by")
        return self

    def steps(self, system: System) -> list[Step]:
        """What it is in seconds and requests/s. Raises :class:`~muster.errors.UsageError`."""
        first, last = rate_of(self.rate or self.from_, system), rate_of(self.rate or self.to, system)
        if not self.by:
            return [Step(duration_s=self.for_s, first=first, last=last)]
        by = rate_of(self.by, system)
        count = int((last - first) / by + 1e-9) + 1 if by > 0 else 0
        if not 1 <= count <= MOST_STEPS:
            raise UsageError(f"from {self.from_} to {self.to} by {self.by} is no climb of 1 to {MOST_STEPS} steps")
        rates = [first + by * number for number in range(count)]
        return [Step(duration_s=self.for_s, first=rate, last=rate) for rate in rates]


class Profile(Fact):
    """One way to put load on a system."""

    title: str
    kind: Literal["constant", "step", "soak"] = "constant"  # step finds the knee, soak judges drift
    arrivals: Literal["even", "poisson"] = "even"
    seed: int = 1
    warm_up_s: Seconds = Field(2.0, alias="warm_up", ge=0)  # at its begin, and not judged
    parts: list[Part] = Field(min_length=1)

    def steps(self, system: System, *, rate: float | None = None, duration_s: float | None = None) -> list[Step]:
        """The schedule; ``rate`` becomes its peak and ``duration_s`` its length, everything else in proportion."""
        steps = [step for part in self.parts for step in part.steps(system)]
        peak, length = max(max(step.first, step.last) for step in steps), sum(step.duration_s for step in steps)
        if peak <= 0:
            raise UsageError(f"this profile offers nothing: {self.title}")
        up, longer = (rate or peak) / peak, (duration_s or length) / length
        return [Step(duration_s=step.duration_s * longer, first=step.first * up, last=step.last * up) for step in steps]

    def warm_up_of(self, system: System, duration_s: float) -> float:
        """The warm-up of a run of so many seconds, in seconds: in proportion."""
        return self.warm_up_s * duration_s / sum(step.duration_s for step in self.steps(system))


def load_profile(name: str) -> Profile:
    """The profile of that name, in the working folder's ``loadtests/profiles``, else in Muster's own checkout.

    Raises :class:`~muster.errors.UsageError`; unknown names offer the known ones.
    """
    folders = [base / "loadtests" / "profiles" for base in (_CHECKOUT, Path.cwd())]
    known = {file.stem: file for folder in folders for file in folder.glob("*.yaml")}
    if name not in known:
        raise UsageError(f"there is no load profile {name!r}: {offer(name, known)}")
    return load_fact(Profile, known[name])
