"""What the replicas expose on ``/metrics``, and whether the runbook's greps find in it what they are meant to find."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.replicas import Replicas
from muster.judge.undeclared import declared
from muster.system.model import MetricName, System
from muster.verdict import SLOWarning

_PARTS = ("", "_total", "_bucket", "_sum", "_count", "_created", "_info")  # of a family, as its samples are called


@dataclass(frozen=True)
class Exposed:
    """One replica's page: how many series, the samples' names, and what each grep of the runbooks shows."""

    series: int
    names: frozenset[str]
    greps: Mapping[str, Sequence[str]]


def exposed(raw: Mapping[str, Any]) -> Exposed:
    """The typed view of one replica's entry in ``metrics``."""
    return Exposed(raw["series"], frozenset(raw["names"]), raw["greps"])


def assert_every_page_is_sound(metrics: Replicas[Exposed], system: System) -> None:
    """Every replica's page was read strictly, and has the families that the SLOs stand on and that a pod tells itself.

    A page that is malformed, of another content type or encoding is UNKNOWN with that reason: nobody knows its values.
    """
    own = {name for slo in system.slo.values() if "{selector}" in slo.query for name in slo.series}
    for replica, page in metrics.items():
        missing = sorted(own - page.names)
        claim(not missing, f"/metrics of {replica} has no {', '.join(missing)}: every alert on it is silent")


def assert_greps_find(metrics: Replicas[Exposed], names: Sequence[MetricName]) -> None:
    """What a runbook greps for in ``/metrics`` is there, on every replica, and it is the metric that is meant.

    Nothing found, or the metric that is meant not exposed at all, fails; only another metric found warns: both read as
    "nothing wrong" to whoever follows the runbook.
    """
    declared(names or None, "what the runbooks grep for in /metrics")
    other: dict[str, str] = {}
    for replica, page in metrics.items():
        for name in names:
            if name.pattern not in page.greps:
                raise Unknown(f"/metrics of {replica} was not searched for {name.pattern!r}")
            found, command = page.greps[name.pattern], f"`grep {name.pattern}` ({_where(name)})"
            claim(bool(found), f"{command} finds nothing in /metrics of {replica}: {name.metric} is meant")
            there = page.names & _family(name.metric)
            claim(bool(there), f"{command} means {name.metric}, which {replica} does not expose")
            if not there & set(found):
                other[command] = f"{command} finds only {_first(found)}, not {name.metric}, which is meant"
    if other:
        warnings.warn("; ".join(other.values()), SLOWarning, stacklevel=2)


def _family(metric: str) -> set[str]:
    return {f"{metric}{part}" for part in _PARTS}


def _where(name: MetricName) -> str:
    source = name.source if isinstance(name.source, str) else name.source[0]
    return source.replace(" / ", ", ")


def _first(found: Sequence[str]) -> str:
    return found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"
