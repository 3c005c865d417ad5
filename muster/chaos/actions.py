"""Actions of experiments: break something, heal everything. The ledger knows each fault before the world does."""

from __future__ import annotations

from muster.chaos import story
from muster.chaos.context import Configuration, field
from muster.errors import MusterError
from muster.faults import Entry, bad_release, pod_kill
from muster.faults import heal as heal_faults
from muster.system.units import parse_duration
from muster.timeline import Kind
from muster.workload import hash_of

CONFIRM_WITHIN = "60s"


def release(
    environment: dict[str, str],
    image: str | None = None,
    confirm_within: str = CONFIRM_WITHIN,
    configuration: Configuration = None,
) -> str:
    """Release the system with these variables (and this image), and wait until every ready pod runs that release.

    Returns the id of the ledger's entry.
    """
    with field(configuration) as on:
        entry = bad_release.inject(on.ledger, on.kube, on.env, system=on.system.name, env_vars=environment, image=image)
        what = ", ".join(f"{name}={value}" for name, value in sorted(environment.items()))
        _injected(entry, f"released {entry.target} with {what}")
        at = bad_release.confirm(on.kube, on.env, entry, timeout_s=parse_duration(confirm_within))
        pods = bad_release.pods_of(on.kube, entry)
        story.tell(
            Kind.FAULT_CONFIRMED,
            source="kubernetes",
            at=at,
            message="every ready pod runs the bad release",
            fault=entry.id,
            hash=hash_of(pods[0]) if pods else "",
            pods=sorted(pod["metadata"]["name"] for pod in pods),
        )
        return entry.id


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
        _injected(entry, f"killed {entry.target}")
        at = pod_kill.confirm(on.kube, on.env, entry, timeout_s=parse_duration(confirm_within))
        story.tell(
            Kind.FAULT_CONFIRMED,
            source="kubernetes",
            at=at,
            message="the killed pods take no more traffic",
            fault=entry.id,
        )
        return entry.id


def heal(configuration: Configuration = None) -> list[str]:
    """Undo every fault that is left here, if any. Raises :class:`MusterError` when one cannot be undone."""
    with field(configuration) as on:
        results = heal_faults(on.ledger, on.kube, on.env, system=on.system.name)
    for result in results:
        if result.ok:
            story.tell(Kind.HEALED, source="muster", message=result.message, fault=result.id)
        else:
            story.tell(Kind.NOTE, source="muster", message=f"not healed: {result.message}", fault=result.id)
    failed = [result.message for result in results if not result.ok]
    if failed:
        raise MusterError(f"not healed: {'; '.join(failed)}")
    return [result.message for result in results]


def _injected(entry: Entry, message: str) -> None:
    story.tell(Kind.FAULT_INJECTED, source="muster", at=entry.injected_at, message=message, fault=entry.id)
