"""Where load may go: the environment's declared way in, within its bounds, and nowhere else."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from muster.errors import UsageError
from muster.faults.guard import typed_back
from muster.system import Environment


def allowed_host(env: Environment, *, rate: float = 0.0, time_s: float = 0.0) -> str:
    """The environment's way in, if so many requests a second may be sent there for so many seconds.

    What is not this very machine needs a bound (``guard.load``).

    Raises :class:`~muster.errors.UsageError`, and NotTypedBackError for production whose name was not typed back.
    """
    parts = urlsplit(env.http)
    if not env.http:
        raise UsageError(f"environment {env.name} declares no http, so there is nowhere to send load to")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"environment {env.name}: http: {env.http!r} is not an http address")
    if not env.guard.allow_load:
        raise UsageError(f"environment {env.name} does not allow load (guard.allow_load), so none was sent")
    typed_back(env)
    if not _is_loopback(parts.hostname):
        _bounded(env, rate, time_s)
    return f"{parts.scheme}://{parts.netloc}"  # no user in it: the facts refuse one


def allowed_time(env: Environment, *, rate: float, needed_s: float, wanted_s: float) -> float:
    """For how many seconds load may be sent: as long as is wanted, or as the environment lets, if that is enough.

    Raises as :func:`allowed_host` does, and :class:`~muster.errors.UsageError` where less is allowed than is needed.
    """
    allowed_host(env, rate=rate)
    bound = env.guard.load
    if bound is None or _is_loopback(urlsplit(env.http).hostname or ""):
        return wanted_s
    if needed_s > bound.most_time_s:
        raise UsageError(
            f"environment {env.name} allows load for {bound.most_time_s:g} s at most (guard.load.most_time), and this "
            f"experiment needs its users for up to {needed_s:.0f} s, so none was sent"
        )
    return min(wanted_s, bound.most_time_s)


def _bounded(env: Environment, rate: float, time_s: float) -> None:
    bound = env.guard.load
    if bound is None:
        raise UsageError(
            f"environment {env.name} is not this machine and bounds no load (guard.load: most_rate, most_time), "
            "so none was sent"
        )
    if rate > bound.most_rate:
        raise UsageError(f"environment {env.name} allows {bound.most_rate:g} requests/s at most, not {rate:g}")
    if time_s > bound.most_time_s:
        raise UsageError(f"environment {env.name} allows load for {bound.most_time_s:g} s at most, not {time_s:g}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
