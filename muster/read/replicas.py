"""Readings of every replica by its own address, and of the users' way in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from muster.read.failures import ReadError
from muster.read.http import parse_json
from muster.read.session import each
from muster.snapshot import FailureKind

if TYPE_CHECKING:
    from muster.read.session import Session

Pods = list[dict[str, Any]]
MOST_DEEP = 24  # replicas whose wire is probed and whose pages are taken apart: of more, a sample (and it is said)


async def read_health(session: Session, pods: Pods) -> dict[str, Any]:
    """``/health`` of every replica: ``{"status_code", "body"}``. A 503 is an answer, and is judged as one."""
    return await each(addresses(session, pods, "/health"), lambda url: _answer(session, url), session.deadline_s)


async def read_ingress_health(session: Session) -> dict[str, Any]:
    """``/health`` as a user gets it, through the ingress."""
    return await _answer(session, f"{session.environment.http.rstrip('/')}/health")


async def read_pqc_status(session: Session, pods: Pods) -> dict[str, Any]:
    """``/security/pqc/status`` of every replica: what it *says* about its handshakes."""
    return await _bodies(session, pods, "/security/pqc/status")


async def read_mesh_status(session: Session, pods: Pods) -> dict[str, Any]:
    """``/mesh/status`` of every replica."""
    return await _bodies(session, pods, "/mesh/status")


async def read_mesh_peers(session: Session, pods: Pods) -> dict[str, Any]:
    """``/mesh/peers`` of every replica: its own view of the mesh."""
    return await _bodies(session, pods, "/mesh/peers")


async def read_mesh_tls(session: Session, pods: Pods) -> dict[str, Any]:
    """What a replica's mesh port negotiates with a client that offers both kinds of key exchange, for each of a sample.

    ``{"group", "version", "subject", "not_after"}``, the last two of the certificate that it showed.
    """
    from muster.read.tls import negotiate

    return await _probes(session, pods, negotiate)


async def read_mesh_downgrade(session: Session, pods: Pods) -> dict[str, Any]:
    """Whether a replica's mesh port refuses a client that offers classical key exchange only, for each of a sample.

    ``{"offered", "refused", "said"}``, or ``"group"`` and ``"version"`` where it did not refuse.
    """
    from muster.read.tls import downgrade

    return await _probes(session, pods, downgrade)


async def _probes(session: Session, pods: Pods, ask: Callable[[str, int, float], dict[str, Any]]) -> dict[str, Any]:
    source = session.environment.kubernetes
    assert source is not None  # noqa: S101 - a reader without a source is not run
    assert source.mesh_port is not None  # noqa: S101
    targets = {pod["name"]: (pod["ip"], source.mesh_port) for pod in sample(_serving(pods))}

    async def probe(target: tuple[str, int]) -> dict[str, Any]:
        return await asyncio.to_thread(ask, *target, session.deadline_s * 0.8)

    return await each(targets, probe, session.deadline_s)


async def _bodies(session: Session, pods: Pods, path: str) -> dict[str, Any]:
    return await each(addresses(session, pods, path), session.http.get_json, session.deadline_s)


async def _answer(session: Session, url: str) -> dict[str, Any]:
    status, body = await session.http.get(url)
    try:
        parsed = parse_json(body, url)
    except ReadError:
        if status == 200:
            raise
        parsed = {}  # an error page: the status says enough
    if not isinstance(parsed, dict):
        raise ReadError(FailureKind.UNPARSEABLE, f"{url}: a JSON object was expected, not {type(parsed).__name__}")
    return {"status_code": status, "body": parsed}


def _serving(pods: Pods) -> Pods:
    """Pods that can be asked: not leaving, not finished, with an address. The others are the pod checks' business."""
    asked = [
        pod for pod in pods if pod["ip"] and not pod["terminating"] and pod["phase"] not in {"Succeeded", "Failed"}
    ]
    if not asked:
        raise ReadError(FailureKind.EMPTY, "no replica has an address yet, or all are leaving")
    return asked


def sample(pods: Pods) -> Pods:
    """All of them up to :data:`MOST_DEEP`; of more, unready ones first, the rest spread over builds, nodes and names.

    A handshake that the peer must refuse is counted by it as a failed one, and every handshake costs it milliseconds:
    a thousand replicas are not all asked by each run. How many were, the findings say (:mod:`muster.judge.sample`).
    """
    if len(pods) <= MOST_DEEP:
        return pods
    troubled = [pod for pod in pods if pod["conditions"].get("Ready") != "True"][: MOST_DEEP // 2]
    names = {pod["name"] for pod in troubled}
    builds: dict[str, Pods] = {}
    for pod in sorted(pods, key=lambda pod: (str(pod["node"]), str(pod["name"]))):
        if pod["name"] not in names:
            builds.setdefault(str(pod["template_hash"]), []).append(pod)
    left, chosen = MOST_DEEP - len(troubled), list(troubled)
    for number, build in enumerate(sorted(builds.values(), key=len)):  # a canary is small, and must be seen
        share = min(len(build), left // (len(builds) - number))
        chosen += [build[index * len(build) // share] for index in range(share)]
        left -= share
    return sorted(chosen, key=lambda pod: str(pod["name"]))


def addresses(session: Session, pods: Pods, path: str, *, deep: bool = False) -> dict[str, str]:
    """Replica -> address of that path on the replica itself, for each that can be asked; ``deep``: for a sample."""
    source = session.environment.kubernetes
    assert source is not None  # noqa: S101 - a reader without a source is not run
    asked = sample(_serving(pods)) if deep else _serving(pods)
    return {pod["name"]: f"http://{_host(pod['ip'])}:{source.port}{path}" for pod in asked}


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
