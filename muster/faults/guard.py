"""What faults may touch: asked before every injection, and before every heal as far as it applies."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Protocol

from muster.errors import EXIT_USAGE, MusterError
from muster.faults.ledger import Entry
from muster.kube import Kube, load_access
from muster.system import Environment
from muster.system.freeze import frozen
from muster.system.model import KubernetesSource

PRODUCTION = "MUSTER_PRODUCTION"


class Refused(MusterError):  # noqa: N818 - the guard's word, as in its sentence
    """The guard does not allow it; nothing was touched."""


class NotTypedBackError(Refused):
    """Production, and nobody has typed its name back."""

    exit_code = EXIT_USAGE


def may_begin(env: Environment) -> None:
    """Raise :class:`Refused` where nothing may be broken now, whatever it is: asked first, and by every injection.

    Healing never asks: what is broken may be undone at any time.
    """
    typed_back(env)
    if env.kubernetes is not None and not env.guard.namespaces:
        raise Refused(f"environment {env.name} allows no faults anywhere (guard.namespaces is empty)")
    source = env.kubernetes
    if source is not None and not (env.embedded or source.context or source.server):
        raise Refused(
            f"environment {env.name} names neither kubernetes.context nor kubernetes.server, so any cluster that the "
            "kubeconfig happens to point at would do"
        )
    if why := frozen(env.freeze, time.time()):
        raise Refused(f"environment {env.name}: {why}")


def typed_back(env: Environment) -> None:
    """Raise :class:`NotTypedBackError` for production unless MUSTER_PRODUCTION has its name: not by chance."""
    given = os.environ.get(PRODUCTION, "")
    if env.production and given != env.name:
        said = f", not {given}" if given else ""
        raise NotTypedBackError(
            f"environment {env.name} is production: nothing is sent there or broken there until its name is typed back "
            f"(muster drill --production {env.name}, or {PRODUCTION}={env.name}){said}"
        )


def cluster_of(env: Environment) -> KubernetesSource:
    """The environment's cluster. Raises :class:`Refused` when it declares none."""
    if env.kubernetes is None:
        raise Refused(f"environment {env.name} declares no kubernetes, so there is nothing to break there")
    return env.kubernetes


def allow(env: Environment, kube: Kube, *, namespace: str, pods: int = 0) -> None:
    """Raise :class:`Refused` unless this environment's guard allows a fault there on so many pods.

    The session's own server address is compared with the one in the environment's kubeconfig, because credentials from
    anywhere else may lead to another cluster, and with ``kubernetes.server``, because the kubeconfig may, too.
    """
    if namespace not in env.guard.namespaces:
        allowed = ", ".join(env.guard.namespaces) or "none"
        raise Refused(f"environment {env.name} allows no faults in namespace {namespace} (allowed: {allowed})")
    if pods > env.guard.max_pods:
        raise Refused(f"environment {env.name} allows faults on {env.guard.max_pods} pods at most, not on {pods}")
    _same_server(env, kube)


def _same_server(env: Environment, kube: Kube) -> None:
    source = cluster_of(env)
    expected = load_access(source.kubeconfig, source.context).server
    if kube.server != expected:
        raise Refused(f"this session talks to {kube.server}, but environment {env.name} is at {expected}")
    real, named = kube.server.rstrip("/"), source.server.rstrip("/")
    if named and real != named and not fnmatchcase(real, named):  # [::1] is an address, and would be a pattern of one
        raise Refused(f"the kubeconfig leads to {real}, but environment {env.name} is at {named} (kubernetes.server)")


def allow_share(env: Environment, *, touched: int, ready: int, last_replica: bool) -> None:
    """Raise :class:`Refused` when so many of the ready pods are too many.

    One ready replica is left alone, unless the experiment says ``last_replica: true``: who serves the users then is its
    author's answer to give, not an accident of rounding.
    """
    if touched > env.guard.max_share * ready:
        raise Refused(
            f"environment {env.name} allows faults on {env.guard.max_share:.0%} of the ready pods at most, "
            f"not on {touched} of {ready}"
        )
    if touched >= ready and not last_replica:
        raise Refused(
            f"{touched} of {ready} ready pods would leave none alone; say last_replica: true if that is meant"
        )


class Touching(Protocol):
    """A fault that touches so many of the system's pods, of so many that were ready when it was aimed."""

    @property
    def pods(self) -> int:
        """So many of the system's pods."""

    @property
    def ready(self) -> int:
        """So many were ready when it was aimed."""


def allow_together(env: Environment, there: Iterable[Touching], another: Touching) -> None:
    """Raise :class:`Refused` when another fault, with those that are open already, touches too many pods.

    One that both touch counts twice, as far as there are so many: whether they are the same would only be known
    afterwards.
    """
    held = [fault for fault in there if fault.pods]
    if not another.pods or not held:
        return
    ready = max(fault.ready for fault in (*held, another))
    pods = min(sum(fault.pods for fault in held) + another.pods, ready)
    words = f"this fault and the {len(held)} that are open"
    if pods > env.guard.max_pods:
        raise Refused(
            f"environment {env.name} allows faults on {env.guard.max_pods} pods at most, {words} may touch {pods}"
        )
    if pods > env.guard.max_share * ready:
        raise Refused(
            f"environment {env.name} allows faults on {env.guard.max_share:.0%} of the ready pods at most, "
            f"{words} may touch {pods} of {ready}"
        )


def allow_users(env: Environment, *, percent: int) -> None:
    """Raise :class:`Refused` when a canary would get a larger share of the users than of the pods may be touched."""
    if percent / 100 > env.guard.max_share:
        raise Refused(
            f"environment {env.name} allows faults on a share of {env.guard.max_share:.0%} at most, "
            f"not a canary for {percent}% of the users"
        )


def allow_nodes(env: Environment) -> None:
    """Raise :class:`Refused` unless nodes may be cordoned here, which concerns everybody's pods."""
    if not env.guard.nodes:
        raise Refused(f"environment {env.name} allows no faults on nodes (guard.nodes)")


def same_cluster(entry: Entry, env: Environment, kube: Kube) -> None:
    """Raise :class:`Refused` unless the recorded fault belongs to this environment's cluster.

    It was allowed when it was opened: whoever takes its namespace out of the guard since then wants no more faults
    there, and least of all this one to stay.
    """
    if entry.environment != env.name:
        raise Refused(f"fault {entry.id} is of environment {entry.environment}, not of {env.name}")
    if entry.server != kube.server:
        raise Refused(
            f"fault {entry.id} was injected at {entry.server}, but environment {env.name} is at {kube.server}; "
            f"if that cluster is gone: muster heal --forget {entry.id}"
        )
    _same_server(env, kube)
