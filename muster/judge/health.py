"""What ``/health`` says, replica by replica and through the ingress."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from muster.errors import Unknown
from muster.judge.claim import claim
from muster.judge.replicas import Answer, Body, Replicas
from muster.verdict import SLOWarning

WELL = frozenset({"ok", "healthy", "up", "pass", "connected"})
YOUNG = frozenset({"forming", "starting"})
NOT_KNOWN = frozenset({"", "unknown"})


def assert_healthy(health: Replicas[Answer]) -> None:
    """Every replica answers 200 and says that it is well."""
    for replica, answer in health.items():
        _assert_well(f"/health of {replica}", answer)


def assert_users_are_served(ingress_health: Answer) -> None:
    """The same through the users' way in."""
    _assert_well("/health through the ingress", ingress_health)


def assert_one_version(health: Replicas[Answer]) -> None:
    """Every replica serves the same version."""
    versions: dict[str, list[str]] = {}
    for replica, answer in health.items():
        versions.setdefault(answer.version, []).append(replica)
        served = "; ".join(f"{version} by {', '.join(where)}" for version, where in sorted(versions.items()))
        claim(len(versions) == 1, f"the replicas serve different versions: {served}")


def assert_dependencies_are_well(health: Replicas[Answer], declared: Iterable[str]) -> None:
    """Every replica lists the declared dependencies, and each that it lists is well; one still starting warns.

    Without any in the facts, a replica that lists none is UNKNOWN: nothing was judged of it.
    """
    unknown = []
    for replica, answer in health.items():
        for name in declared:
            missing = f"/health of {replica} does not list the dependency {name} that the facts declare"
            claim(name in answer.dependencies, missing)
        if not answer.dependencies:
            unknown.append(f"/health of {replica} lists no dependency, and the facts declare none")
        for name, raw in sorted(answer.dependencies.items()):
            where = f"dependency {name} of {replica}"
            status = Body(where, raw).get("status", str).lower()
            if status in NOT_KNOWN:
                unknown.append(f"{where}: its own status is {status or 'empty'}")
                continue
            claim(status in WELL | YOUNG, f"{where} is {status}")
            if status in YOUNG:
                warnings.warn(f"{where} is still {status}", SLOWarning, stacklevel=2)
    if unknown:
        raise Unknown(unknown[0])


def _assert_well(where: str, answer: Answer) -> None:
    claim(answer.status_code == 200, f"{where} answers {answer.status_code}")
    claim(answer.status.lower() in WELL, f"{where} answers 200, but says {answer.status}")
