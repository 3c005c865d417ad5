"""The logs of the replicas: bursts of what the runbooks tell to grep for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.replicas import Replicas
from muster.judge.undeclared import Undeclared
from muster.system.expectations import Burst
from muster.system.expectations import Logs as LogFacts
from muster.system.units import duration


@dataclass(frozen=True, kw_only=True)
class Log:
    """A window of one replica's log. ``counts`` and ``samples`` are by burst; ``cut``: it was longer than is read."""

    lines: int
    cut: bool
    counts: Mapping[str, int]
    samples: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The replicas' logs: ``replicas`` is a sample where ``running`` is more."""

    window_s: float
    running: int
    replicas: Replicas[Log]


def logs(raw: Mapping[str, Any]) -> Logs:
    """The typed view of the reading ``logs``."""
    replicas = Replicas("logs", raw["replicas"], lambda _, entry: _log(entry))
    return Logs(window_s=raw["window_s"], running=raw["running"], replicas=replicas)


def _log(raw: Mapping[str, Any]) -> Log:
    bursts = raw["bursts"]
    return Log(
        lines=raw["lines"],
        cut=raw["cut"],
        counts={name: entry["count"] for name, entry in bursts.items()},
        samples={name: tuple(entry["samples"]) for name, entry in bursts.items()},
    )


def assert_no_burst(logs: Logs, facts: LogFacts | None, name: str) -> None:
    """The replicas together said no more of this than the facts call normal.

    Read of some replicas only, the count is scaled up to all. A log that was longer than is read may hold more: then a
    count within the limit is UNKNOWN, and one above it fails all the same.
    """
    burst = _burst(facts, name)
    total, cut, latest = 0, "", ""
    per_replica: dict[str, int] = {}
    unread = ""
    for replica in logs.replicas:
        try:
            log = logs.replicas[replica]
        except Unknown as error:
            unread = unread or str(error)
            continue
        if name not in log.counts:
            raise Unknown(f"the log of {replica} was not read for {name!r}")
        per_replica[replica] = log.counts[name]
        cut = cut or (replica if log.cut else "")
        latest = next(reversed(log.samples[name]), latest)
    total = sum(per_replica.values())
    if per_replica and len(logs.replicas) < logs.running:
        total = round(total * logs.running / len(per_replica))
    worst = max(per_replica, key=lambda replica: per_replica[replica], default="")
    message = (
        f"{total} log lines match {burst.pattern} in {duration(logs.window_s)}, at most {burst.most} are normal"
        f" ({per_replica.get(worst, 0)} of {worst}): {latest}"
    )
    claim(total <= burst.most, message)
    if unread:
        raise Unknown(unread)
    if cut:
        raise Unknown(f"the log of {cut} is longer than what is read of it; within that, {total} lines match {name}")


def _burst(facts: LogFacts | None, name: str) -> Burst:
    found = next((burst for burst in facts.bursts if burst.name == name), None) if facts else None
    if found is None:
        raise Undeclared(f"the system's facts do not say how many log lines of {name!r} are too many")
    return found
