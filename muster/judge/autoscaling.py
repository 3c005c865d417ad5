"""The autoscaler: can it still add replicas, and does it let the runbook's remedy stand?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.undeclared import Undeclared, declared


@dataclass(frozen=True, kw_only=True)
class Autoscaler:
    """A HorizontalPodAutoscaler of the workload; ``conditions`` maps a type to (status, reason, message)."""

    name: str
    least: int
    most: int
    current: int
    desired: int
    conditions: Mapping[str, tuple[str, str, str]]


def autoscalers(raw: list[Mapping[str, Any]]) -> tuple[Autoscaler, ...]:
    """The typed view of the reading ``autoscalers``, by name."""
    return tuple(Autoscaler(**{**entry, "conditions": _conditions(entry["conditions"])}) for entry in raw)


def _conditions(raw: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {kind: (entry[0], entry[1], entry[2]) for kind, entry in raw.items()}


def assert_room_is_left(autoscalers: tuple[Autoscaler, ...]) -> None:
    """No autoscaler is at its maximum, and each can read what it scales by."""
    for one in _some(autoscalers):
        status, reason, message = one.conditions.get("ScalingActive", ("", "", ""))
        claim(status != "False", f"autoscaler {one.name} does not scale: {reason}: {message}")
        at_most = f"autoscaler {one.name} is at its maximum of {one.most} replicas: it cannot add any"
        claim(max(one.current, one.desired) < one.most, at_most)
        if not status:
            raise Unknown(f"autoscaler {one.name} does not say yet whether it can scale")


def assert_remedy_stands(autoscalers: tuple[Autoscaler, ...], target: int | None) -> None:
    """No autoscaler's maximum lies below the replicas that the runbook scales to: it would take them away again."""
    wanted = declared(target, "how many replicas a remedy scales to")
    for one in _some(autoscalers):
        undone = f"scaling to {wanted} replicas is undone by autoscaler {one.name}, whose maximum is {one.most}"
        claim(one.most >= wanted, undone)


def _some(autoscalers: tuple[Autoscaler, ...]) -> tuple[Autoscaler, ...]:
    if not autoscalers:
        raise Undeclared("no autoscaler scales this deployment")
    return autoscalers
