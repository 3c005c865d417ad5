"""What Locust is told: a schedule, the system's load mix, and bounds; a JSON file beside the figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from muster.errors import UsageError
from muster.judge.seconds import Step
from muster.system import Environment, System
from muster.system.expectations import Request
from muster.system.fill import at_home

USERS = 50  # to begin with, at least; more come as they are needed
BEGIN = 0.1  # of the users that rate and promised latency need (Little's law): those of a system ten times as fast
SPARE = 1.5  # users over those that they need
LOOKS = 2.5  # promised latencies between two looks at how many users are needed: an answer must come in one
LEAST_LOOK_S = 0.25
LATENCY_S = 0.1  # of a system that promises none
FILE = "load-plan.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``users`` begin, up to ``most_users`` come when the schedule needs them."""

    steps: Sequence[Step]
    mix: Sequence[Request]
    users: int
    most_users: int
    arrivals: str = "even"
    seed: int = 1
    warm_up_s: float = 0.0
    look_s: float = LEAST_LOOK_S
    ca_file: str = ""
    token_file: str = ""

    @property
    def duration_s(self) -> float:
        """Of the whole schedule."""
        return sum(step.duration_s for step in self.steps)

    @property
    def peak(self) -> float:
        """The highest rate, in requests/s."""
        return max(max(step.first, step.last) for step in self.steps)

    def to_json(self) -> str:
        """As ``loadtests/plan.py`` reads it."""
        body: dict[str, Any] = {
            "phases": [[step.duration_s, step.first, step.last] for step in self.steps],
            "mix": [request.model_dump(mode="json") for request in self.mix],
            "most_users": self.most_users,
            "arrivals": self.arrivals,
            "seed": self.seed,
            "look_s": self.look_s,
            "ca_file": self.ca_file,
            "token_file": self.token_file,
        }
        return json.dumps(body, indent=1) + "\n"

    def write(self, folder: Path) -> Path:
        """Leave it in a folder for Locust."""
        file = folder / FILE
        file.write_text(self.to_json(), encoding="utf-8")
        return file

    def described(self) -> dict[str, Any]:
        """For ``load.json``."""
        return {
            "steps": [asdict(step) for step in self.steps],
            "arrivals": self.arrivals,
            "seed": self.seed,
            "warm_up_s": self.warm_up_s,
            "duration_s": self.duration_s,
            "peak_rps": self.peak,
            "users": self.users,
            "most_users": self.most_users,
            "mix": [request.model_dump(mode="json") for request in self.mix],
        }


def make(system: System, env: Environment, steps: Sequence[Step], *, users: int = 0, **more: Any) -> Plan:
    """A plan with the system's mix, and with as many users as its promises need at most; ``users`` begin.

    Raises :class:`~muster.errors.UsageError` when the facts state no mix: what users ask nobody can guess.
    """
    if system.load is None:
        raise UsageError(f"{system.name} states no load mix (load.mix), so nobody knows what its users ask")
    slo = system.slo.get("latency_p95")
    latency_s = slo.objective.bound if slo and slo.objective else LATENCY_S
    peak = max(max(step.first, step.last) for step in steps)
    needed = latency_s * peak
    users = users or max(USERS, math.ceil(BEGIN * needed))
    return Plan(
        steps=tuple(steps),
        mix=tuple(system.load.mix),
        users=users,
        most_users=max(users, math.ceil(SPARE * needed)),
        look_s=max(LEAST_LOOK_S, LOOKS * latency_s),
        ca_file=str(_absolute(env, env.ca_file)) if env.ca_file else "",
        token_file=str(_absolute(env, env.token_files["http"])) if "http" in env.token_files else "",
        **more,
    )


def _absolute(env: Environment, file: str) -> Path:
    return (env.base_dir / at_home(file)).resolve()
