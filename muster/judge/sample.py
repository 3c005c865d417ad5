"""How many replicas a reading looked at: what was not looked at has not passed, and the finding says so."""

from __future__ import annotations

from collections.abc import Iterable

from muster.snapshot import Snapshot

SAMPLED = ("mesh_downgrade", "mesh_tls", "metrics")  # readings that look at a sample of a crowd


def looked_at(snapshot: Snapshot | None, names: Iterable[str]) -> str:
    """``mesh_tls looked at 24 of 1,000 replicas`` for each of these readings that is a sample; "" where all are whole.

    Of how many is told by ``health``, which is asked of every replica, else by the pods themselves.
    """
    if snapshot is None:
        return ""
    said = []
    for name in sorted(set(names) & set(SAMPLED)):
        reading = snapshot.readings.get(name)
        everyone = [_number(snapshot, other) for other in ("health", "pods")]
        of = next((number for number in everyone if number), 0)
        if reading is not None and isinstance(reading.value, dict) and 0 < len(reading.value) < of:
            said.append(f"{name} looked at {len(reading.value):,} of {of:,} replicas")
    return "; ".join(said)


def _number(snapshot: Snapshot, name: str) -> int:
    reading = snapshot.readings.get(name)
    return len(reading.value) if reading is not None and isinstance(reading.value, dict | list) else 0
