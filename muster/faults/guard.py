"""What faults may touch: asked before every injection, and before every heal as far as it applies."""

from __future__ import annotations

from muster.errors import MusterError
from muster.faults.ledger import Entry
from muster.kube import Kube, load_access
from muster.system import Environment
from muster.system.model import KubernetesSource


class Refused(MusterError):  # noqa: N818 - the guard's word, as in its sentence
    """The guard does not allow it; nothing was touched."""


def cluster_of(env: Environment) -> KubernetesSource:
    """The environment's cluster. Raises :class:`Refused` when it declares none."""
    if env.kubernetes is None:
        raise Refused(f"environment {env.name} declares no kubernetes, so there is nothing to break there")
    return env.kubernetes


def allow(env: Environment, kube: Kube, *, namespace: str, pods: int = 0) -> None:
    """Raise :class:`Refused` unless this environment's guard allows a fault there on so many pods.

    The session's own server address is compared with the one in the environment's kubeconfig, because credentials from
    anywhere else may lead to another cluster.
    """
    source = cluster_of(env)
    if namespace not in env.guard.namespaces:
        allowed = ", ".join(env.guard.namespaces) or "none"
        raise Refused(f"environment {env.name} allows no faults in namespace {namespace} (allowed: {allowed})")
    if pods > env.guard.max_pods:
        raise Refused(f"environment {env.name} allows faults on {env.guard.max_pods} pods at most, not on {pods}")
    expected = load_access(source.kubeconfig, source.context).server
    if kube.server != expected:
        raise Refused(f"this session talks to {kube.server}, but environment {env.name} is at {expected}")


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


def allow_nodes(env: Environment) -> None:
    """Raise :class:`Refused` unless nodes may be cordoned here, which concerns everybody's pods."""
    if not env.guard.nodes:
        raise Refused(f"environment {env.name} allows no faults on nodes (guard.nodes)")


def same_cluster(entry: Entry, env: Environment, kube: Kube) -> None:
    """Raise :class:`Refused` unless the recorded fault belongs to this environment's cluster and namespaces."""
    if entry.environment != env.name:
        raise Refused(f"fault {entry.id} is of environment {entry.environment}, not of {env.name}")
    if entry.server != kube.server:
        raise Refused(
            f"fault {entry.id} was injected at {entry.server}, but environment {env.name} is at {kube.server}; "
            f"if that cluster is gone: muster heal --forget {entry.id}"
        )
    allow(env, kube, namespace=entry.namespace)
