"""What is to be sent: read from ``--plan FILE`` (Muster writes it), or made of ``--rate`` for a plain locust.

A plan is JSON: ``{"phases": [[seconds or null, requests/s, requests/s], ...], "arrivals", "seed", "mix": [{"method",
"path", "weight", "expect", "body"}], "most_users", "late_after_s", "give_up_after_s", "look_s",
"connect_timeout_s", "answer_timeout_s", "ca_file", "token_file"}``; all but ``phases`` may be missing.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from schedule import Phase, Schedule

SYSTEM = os.environ.get("MUSTER_SYSTEM", "x0tta6bl4")
LATE_AFTER_S = 0.05
GIVE_UP_AFTER_S = 5.0
LOOK_S = 0.25


class PlanError(ValueError):
    """A plan that cannot be followed; one sentence."""


@dataclass(frozen=True)
class Plan:
    """``late_after_s``: sent so much later by the generator's own doing, a request counts as missed.

    ``give_up_after_s``: a request that could not be sent so long after it was due never is.
    ``look_s``: how often it is decided how many users there may be; well over the latency that is promised.
    """

    phases: tuple[Phase, ...]
    mix: tuple[dict[str, Any], ...]
    most_users: int
    arrivals: str = "even"
    seed: int = 0
    late_after_s: float = LATE_AFTER_S
    give_up_after_s: float = GIVE_UP_AFTER_S
    look_s: float = LOOK_S
    connect_timeout_s: float = 2.0
    answer_timeout_s: float = 5.0
    ca_file: str = ""
    token_file: str = ""
    raw: str = field(default="", compare=False)  # as it was read, for other processes

    @property
    def drain_s(self) -> float:
        """The longest that a request may take after the schedule's end."""
        return self.give_up_after_s + self.connect_timeout_s + self.answer_timeout_s

    def schedule(self, index: int = 0, of: int = 1) -> Schedule:
        """One of so many equal shares."""
        return Schedule(self.phases, arrivals=self.arrivals, seed=self.seed, index=index, of=of)

    def headers(self) -> dict[str, str]:
        """What every request carries: the token, if there is one. Raises :class:`PlanError`."""
        if not self.token_file:
            return {}
        try:
            return {"Authorization": f"Bearer {Path(self.token_file).read_text(encoding='utf-8').strip()}"}
        except OSError as error:
            raise PlanError(f"the token file {self.token_file} cannot be read: {error.strerror}") from None


def of_options(options: Any) -> Plan:
    """The plan of Locust's options: what the master sent, a file, or a constant rate without end.

    Raises :class:`PlanError`.
    """
    if text := getattr(options, "plan_text", ""):
        return parse(text)
    if file := getattr(options, "plan", ""):
        try:
            return parse(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise PlanError(f"the plan {file} cannot be read: {error.strerror}") from None
    rate = float(options.rate)
    return parse(json.dumps({"phases": [[None, rate, rate]], "most_users": max(4 * (options.num_users or 1), 50)}))


def parse(text: str) -> Plan:
    """A plan from its JSON. Raises :class:`PlanError`."""
    try:
        raw = json.loads(text)
        phases = tuple(Phase(math.inf if s is None else float(s), float(a), float(b)) for s, a, b in raw.pop("phases"))
        mix = tuple(raw.pop("mix", None) or of_system())
        most_users = int(raw.pop("most_users", 0)) or max(50, math.ceil(0.15 * max(p.last for p in phases)))
        plan = Plan(phases=phases, mix=mix, most_users=most_users, raw=text, **raw)
        plan.schedule()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PlanError(f"this is no plan: {error}") from None
    if plan.arrivals not in {"even", "poisson"}:
        raise PlanError(f"this is no plan: arrivals are even or poisson, not {plan.arrivals!r}")
    return plan


def of_system() -> list[dict[str, Any]]:
    """The load mix of the facts. Raises :class:`PlanError`."""
    folders = (Path.cwd() / "systems", Path(__file__).resolve().parents[1] / "systems")
    file = next((folder / f"{SYSTEM}.yaml" for folder in folders if (folder / f"{SYSTEM}.yaml").is_file()), None)
    if file is None:
        raise PlanError(f"there is no systems/{SYSTEM}.yaml with a load mix; MUSTER_SYSTEM names another")
    try:
        return list(yaml.safe_load(file.read_text(encoding="utf-8"))["load"]["mix"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        raise PlanError(f"{file} holds no load mix") from None
