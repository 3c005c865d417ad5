"""Actions whose fault comes from outside the release: pods, nodes, networks, what watches over them."""

from __future__ import annotations

from typing import Any

from muster import faults
from muster.chaos import story
from muster.chaos.actions.common import CONFIRM_WITHIN, Order, tell_injected, told_s
from muster.chaos.context import Configuration, field
from muster.system import Environment
from muster.system.units import parse_duration
from muster.timeline import Kind

EXPIRES = "5m"  # or later, where the alerts take longer to tell


def order_inject(
    _env: Environment, kind: str, expires: str = "", confirm_within: str = CONFIRM_WITHIN, **how: Any
) -> Order:
    """What :func:`inject` is asked for by these arguments. Raises ValueError for a duration that cannot be read."""
    parse_duration(confirm_within)
    return Order(kind=kind, how=how, expires_s=parse_duration(expires or EXPIRES), explicit=bool(expires))


def inject(
    kind: str,
    expires: str = "",
    confirm_within: str = CONFIRM_WITHIN,
    configuration: Configuration = None,
    **how: Any,
) -> str:
    """Inject any fault of ``muster.faults`` and wait until it is in force.

    Args:
        kind: The fault, such as ``network_delay``.
        expires: When it ends by itself if nobody has undone it, in real time; empty: not before every alert that the
            experiment is about would have told of it.
        confirm_within: How long to wait until it is seen in force, over what a rollout takes here.
        configuration: The experiment's.
        how: The fault's own arguments, see the ``intend`` of its module.

    Returns:
        The id of the ledger's entry.
    """
    with field(configuration) as on:
        order = order_inject(on.env, kind, expires, confirm_within, **how).outlasting(told_s())
        system = on.system.name
        entry = faults.inject(kind, on.ledger, on.kube, on.env, system=system, expires_s=order.expires_s, **order.how)
        tell_injected(entry, f"{kind.replace('_', ' ')}: {entry.target}" + (f"; {entry.note}" if entry.note else ""))
        fault = faults.faults()[kind]
        confirm_s = parse_duration(confirm_within) + on.env.rollout_takes_s
        at = fault.confirm(on.kube, on.env, entry, timeout_s=confirm_s)
        message = f"{kind.replace('_', ' ')} is in force"
        bad = fault.pods_of(on.kube, entry) if isinstance(fault, faults.HasPods) else []
        pods = {"pods": sorted(pod["metadata"]["name"] for pod in bad)} if bad else {}
        story.tell(Kind.FAULT_CONFIRMED, source="kubernetes", at=at, message=message, fault=entry.id, **pods)
        return entry.id


def order_kill_pods(env: Environment, how_many: str = "one", grace_s: int | None = None) -> Order:
    """What :func:`kill_pods` is asked for by these arguments."""
    return order_inject(env, "pod_kill", how_many=str(how_many), grace_s=grace_s)


def kill_pods(how_many: str = "one", grace_s: int | None = None, configuration: Configuration = None) -> str:
    """Delete ready pods ("one", "2", "50%") and wait until they are gone or going: the fault ``pod_kill``."""
    return inject("pod_kill", configuration=configuration, how_many=str(how_many), grace_s=grace_s)
