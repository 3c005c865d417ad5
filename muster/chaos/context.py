"""What every action and probe works with: facts, environment, cluster and ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chaoslib.extension import get_extension

from muster.chaos import own
from muster.errors import UsageError
from muster.faults import Ledger
from muster.judge.objectives import Objectives, parse_objectives
from muster.kube import Kube, load_access
from muster.system import Environment, System, load_environment, load_system
from muster.system.promised import rate_of

SYSTEM, ENVIRONMENT = "x0tta6bl4", "lab"
RATE = "MUSTER_RATE"  # of the users of every experiment: 6000/s, objective, 50% of target
Configuration = Mapping[str, Any] | None


@dataclass(frozen=True)
class Place:
    """A system in one environment."""

    system: System
    env: Environment


def place(configuration: Configuration) -> Place:
    """The place that an experiment names (``configuration``: system, environment), else MUSTER_SYSTEM and MUSTER_ENV.

    Raises :class:`~muster.errors.UsageError` when it does not exist or does not run.
    """
    given = configuration or {}
    system = load_system(str(given.get("system") or os.environ.get("MUSTER_SYSTEM") or SYSTEM))
    env = load_environment(system, str(given.get("environment") or os.environ.get("MUSTER_ENV") or ENVIRONMENT))
    return Place(system, env)


def promises(experiment: Mapping[str, Any], name: str, system: System) -> Objectives:
    """What an experiment promises; its users come at MUSTER_RATE where that is set.

    Raises :class:`~muster.errors.UsageError`.
    """
    given = os.environ.get(RATE)
    rate = users_rate(given, system, said=f"{RATE}={given}") if given else None
    return parse_objectives(get_extension(experiment, "muster"), where=name, system=system, rate=rate)


def users_rate(text: str, system: System, *, said: str) -> float:
    """Requests a second of the users, as it was asked for.

    Raises :class:`~muster.errors.UsageError`, beginning with ``said``: where it was asked for, and with what words.
    """
    try:
        rate = rate_of(text, system)
    except UsageError as error:
        raise UsageError(f"{said}: {error}") from None
    if rate < 1:
        raise UsageError(f"{said}: users send one request a second at least")
    return rate


@dataclass(frozen=True)
class Field:
    """A place whose cluster may be touched, with the ledger of what was done to it."""

    system: System
    env: Environment
    kube: Kube
    ledger: Ledger


@contextmanager
def field(configuration: Configuration) -> Iterator[Field]:
    """The place with a session to its cluster, for a while. Raises :class:`~muster.errors.UsageError`."""
    where = place(configuration)
    with open_kube(where.env) as kube:
        ledger = Ledger()
        ledger.begin()  # from here on "no faults are left" is knowledge, even if nothing is ever injected
        own.keep(where.system.name, where.env, ledger)
        yield Field(where.system, where.env, kube, ledger)


def open_kube(env: Environment) -> Kube:
    """A session with the environment's cluster. Raises :class:`~muster.errors.UsageError` when it declares none."""
    if env.kubernetes is None:
        raise UsageError(f"environment {env.name} declares no kubernetes, so nothing can be broken there")
    return Kube(load_access(env.kubernetes.kubeconfig, env.kubernetes.context))
