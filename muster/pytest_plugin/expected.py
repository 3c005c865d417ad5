"""The rules that the facts ask for here, as a reading beside those that were taken.

Judges and rules know nothing of each other. So what is expected is rendered while the environment is at hand and kept
in the snapshot: judged again offline, it is compared with what the facts said then.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from muster.snapshot import Reading, Snapshot
from muster.system import Environment, System
from muster.system.units import parse_duration

EXPECTED_RULES = "expected_rules"


def with_expected_rules(snapshot: Snapshot, system: System, environment: Environment) -> Snapshot:
    """The same snapshot with the reading ``expected_rules``."""
    reading = Reading(
        name=EXPECTED_RULES,
        source=f"systems/{system.name}.yaml, rendered for {environment.name}",
        at=snapshot.taken_at,
        took_s=0.0,
        value=render(system, environment),
    )
    return replace(snapshot, readings={**snapshot.readings, EXPECTED_RULES: reading})


def render(system: System, environment: Environment) -> list[dict[str, Any]]:
    """``[{"name", "kind", "query", "for_s", "labels"}]`` of every alerting and recording rule, ``for_s`` in seconds."""
    from muster.rules.prometheus import groups

    return [
        {
            "name": rule["alert"] if "alert" in rule else rule["record"],
            "kind": "alerting" if "alert" in rule else "recording",
            "query": rule["expr"],
            "for_s": _seconds(rule.get("for", "0s")),
            "labels": rule["labels"],
        }
        for group in groups(system, environment)
        for rule in group["rules"]
    ]


def _seconds(text: str) -> float:
    """Seconds of a duration as Prometheus writes it, such as ``1h30m``."""
    return sum(parse_duration(part) for part in re.findall(r"[0-9]+[a-z]+", text))
