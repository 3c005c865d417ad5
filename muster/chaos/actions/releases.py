"""Actions whose fault is a release: what a deploy pipeline would put out without knowing better."""

from __future__ import annotations

import math
import time
from typing import Literal, get_args

from muster import faults
from muster.chaos import story
from muster.chaos.actions.common import CONFIRM_WITHIN, Order, tell_injected, told_s
from muster.chaos.context import Configuration, Field, field
from muster.errors import UsageError
from muster.faults import Entry, bad_release
from muster.system import Environment
from muster.system.units import Unit, parse_duration, parse_quantity
from muster.timeline import Kind
from muster.wait import wait_until
from muster.workload import hash_of

Until = Literal["all", "first", "stalled"]
ROLLOUT = "rollout"  # as long as one takes in the environment
EXPIRES = "10m"  # or later, where the alerts take longer to tell


def order_release(
    env: Environment,
    *,
    environment: dict[str, str] | None = None,
    paced: dict[str, str] | None = None,
    image: str | None = None,
    until: Until = "all",
    takes_hold: str = "0s",
    progress_deadline: str = "",
    expires: str = "",
    confirm_within: str = CONFIRM_WITHIN,
) -> Order:
    """What :func:`release` is asked for by these arguments. Raises UsageError, or ValueError, for one that is none."""
    if until not in get_args(Until):
        raise UsageError(f"release: until: {until!r} is none of {', '.join(get_args(Until))}")
    parse_duration(confirm_within)
    _holds_s(env, takes_hold)
    deadline_s = math.ceil(env.scaled(parse_duration(progress_deadline))) if progress_deadline else None
    how = {
        "env_vars": {**(environment or {}), **{name: _paced(env, text) for name, text in (paced or {}).items()}},
        "image": image,
        "progress_deadline_s": None if deadline_s is None else max(1, deadline_s),
    }
    expires_s = parse_duration(expires or EXPIRES)
    return Order(kind="bad_release", how=how, expires_s=expires_s, explicit=bool(expires))


def _holds_s(env: Environment, text: str) -> float:
    """Seconds of real time of a duration, or of the word for as long as a rollout takes here."""
    return env.rollout_takes_s if text == ROLLOUT else parse_duration(text)


def _paced(env: Environment, text: str) -> str:
    """A number that follows the environment. Raises ValueError for a text that says none."""
    if text == ROLLOUT:
        return f"{env.rollout_takes_s:g}"
    return f"{parse_quantity(text, Unit.PER_SECOND) * env.time_scale:g}"


def release(
    *,
    environment: dict[str, str] | None = None,
    paced: dict[str, str] | None = None,
    image: str | None = None,
    until: Until = "all",
    takes_hold: str = "0s",
    progress_deadline: str = "",
    expires: str = "",
    confirm_within: str = CONFIRM_WITHIN,
    configuration: Configuration = None,
) -> str:
    """Release the system with these variables (and this image), and wait until that release is in force.

    Args:
        environment: Variables of the container, literal values.
        paced: Variables whose number follows the environment: "rollout", the seconds that one takes here, so that a
            release does not show itself before all replicas run it; or "3.7/s", a rate at true scale.
        image: Another image.
        until: When it is in force: "all" ready pods run it; its "first" pod is ready; or it is "stalled": it cannot
            become ready, and its first pod is in trouble.
        takes_hold: How long after its last pod began to serve the release shows what is wrong with it, in real time,
            or "rollout".
        progress_deadline: The Deployment's progress deadline meanwhile, at true scale; empty keeps it as it is.
        expires: When it ends by itself if nobody has undone it, in real time; empty: not before every alert that the
            experiment is about would have told of it.
        confirm_within: How long to wait for all that, over what a rollout takes here.
        configuration: The experiment's.

    Returns:
        The id of the ledger's entry.
    """
    with field(configuration) as on:
        order = order_release(
            on.env,
            environment=environment,
            paced=paced,
            image=image,
            until=until,
            takes_hold=takes_hold,
            progress_deadline=progress_deadline,
            expires=expires,
            confirm_within=confirm_within,
        ).outlasting(told_s())
        entry = faults.inject(
            order.kind,
            on.ledger,
            on.kube,
            on.env,
            system=on.system.name,
            expires_s=order.expires_s,
            **order.how,
        )
        parts = bad_release.changes_in_words(order.how["env_vars"], image)
        tell_injected(entry, f"released {entry.target} with {', '.join(parts)}")
        confirm_s = parse_duration(confirm_within) + on.env.rollout_takes_s
        _confirm(on, entry, until=until, takes_hold_s=_holds_s(on.env, takes_hold), within_s=confirm_s)
        return entry.id


def _confirm(on: Field, entry: Entry, *, until: Until, takes_hold_s: float, within_s: float) -> None:
    if until == "stalled":
        at, state = bad_release.confirm_stalled(on.kube, on.env, entry, timeout_s=within_s)
        message = f"the rollout stands: a pod of the bad release is {state}"
    else:
        first = until == "first"
        at = bad_release.confirm(on.kube, on.env, entry, first=first, timeout_s=within_s) + takes_hold_s
        message = "the first pod of the bad release serves" if first else "every ready pod runs the bad release"
    pods = bad_release.pods_of(on.kube, entry)
    wait_until(time.time, lambda now: now >= at, what="the release to show itself", timeout_s=takes_hold_s + 1.0)
    story.tell(
        Kind.FAULT_CONFIRMED,
        source="kubernetes",
        at=at,
        message=message,
        fault=entry.id,
        hash=hash_of(pods[0]) if pods else "",
        pods=sorted(pod["metadata"]["name"] for pod in pods),
    )
