"""Words that the families share: samples, units, conditions."""

from __future__ import annotations

from collections.abc import Iterator

from lab.objects import epoch, quantity
from lab.resources import Object

Labels = dict[str, str]
Sample = tuple[str, Labels, float]  # family, labels, value
STATUSES = ("true", "false", "unknown")
_UNITS = {"cpu": "core", "memory": "byte", "storage": "byte", "ephemeral-storage": "byte"}


def resources(amounts: Object | None) -> Iterator[tuple[str, str, float]]:
    """``(resource, unit, value)`` of a resource list, with the resource's name as a label value."""
    for name, amount in (amounts or {}).items():
        unit = "byte" if name.startswith("hugepages-") else _UNITS.get(name, "integer")
        yield name.replace("-", "_").replace(".", "_").replace("/", "_"), unit, quantity(amount)


def by_status(family: str, labels: Labels, key: str, status: str) -> Iterator[Sample]:
    """Three samples, of which the one with the condition's own status is 1."""
    for word in STATUSES:
        yield family, labels | {key: word}, float(status.lower() == word)


def moment(family: str, labels: Labels, text: str | None) -> Iterator[Sample]:
    """A time as seconds since the epoch; nothing while there is none."""
    if text:
        yield family, labels, epoch(text)


def line(family: str, labels: Labels, value: float) -> str:
    """One line of Prometheus' text format."""
    inside = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    number = str(int(value)) if value == int(value) else f"{value:.15g}"
    return f"{family}{{{inside}}} {number}\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
