"""What traffic between two addresses suffers: no I/O.

A fault acts on packets on their way from some addresses to some others, as Chaos Mesh's rules in a pod's network do. A
connection has two such ways: what its client sends, and what its server sends.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

Addresses = frozenset[str]


@dataclass(frozen=True)
class Effect:
    """Delay of what is sent, the share of connections (0 to 1) that fail, and whether nothing comes through."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    cut: bool = False

    def __bool__(self) -> bool:
        return self.cut or self.delay_s > 0 or self.jitter_s > 0 or self.loss > 0

    def __add__(self, other: Effect) -> Effect:
        return Effect(
            self.delay_s + other.delay_s,
            self.jitter_s + other.jitter_s,
            1 - (1 - self.loss) * (1 - other.loss),
            self.cut or other.cut,
        )

    def sample_s(self) -> float:
        """One delay: latency give or take the jitter, never negative."""
        if not self.jitter_s:
            return self.delay_s
        return max(0.0, self.delay_s + random.uniform(-self.jitter_s, self.jitter_s))  # noqa: S311  # no secret


NONE = Effect()


@dataclass(frozen=True)
class Link:
    """Packets from any of ``sources`` to any of ``destinations`` (None: everybody) suffer ``effect``."""

    sources: Addresses | None
    destinations: Addresses | None
    effect: Effect

    def carries(self, source: str, destination: str) -> bool:
        """Whether packets from one address to the other take this way."""
        return (self.sources is None or source in self.sources) and (
            self.destinations is None or destination in self.destinations
        )


def between(pods: Addresses, targets: Addresses | None, direction: str, effect: Effect) -> list[Link]:
    """The links of a NetworkChaos: ``to`` acts on what ``pods`` send to ``targets`` (None: to everybody)."""
    if not pods or targets == frozenset():
        return []
    there, back = Link(pods, targets, effect), Link(targets, pods, effect)
    return {"to": [there], "from": [back], "both": [there, back]}[direction]


def suffered(links: Iterable[Link], source: str, destination: str) -> Effect:
    """What packets from one address to the other suffer in all."""
    total = NONE
    for link in links:
        if link.carries(source, destination):
            total += link.effect
    return total
