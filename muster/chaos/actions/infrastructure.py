"""Actions whose fault comes from outside the release: pods, nodes, networks, what watches over them."""

from __future__ import annotations

from muster.chaos import story
from muster.chaos.actions.common import CONFIRM_WITHIN, tell_injected
from muster.chaos.context import Configuration, field
from muster.faults import pod_kill
from muster.system.units import parse_duration
from muster.timeline import Kind


def kill_pods(
    how_many: str = "one",
    grace_s: int | None = None,
    confirm_within: str = CONFIRM_WITHIN,
    configuration: Configuration = None,
) -> str:
    """Delete ready pods ("one", "all", "2", "50%") and wait until they are gone or going. Returns the ledger's id."""
    with field(configuration) as on:
        entry = pod_kill.inject(
            on.ledger, on.kube, on.env, system=on.system.name, how_many=str(how_many), grace_s=grace_s
        )
        tell_injected(entry, f"killed {entry.target}")
        at = pod_kill.confirm(on.kube, on.env, entry, timeout_s=parse_duration(confirm_within))
        story.tell(
            Kind.FAULT_CONFIRMED,
            source="kubernetes",
            at=at,
            message="the killed pods take no more traffic",
            fault=entry.id,
        )
        return entry.id
