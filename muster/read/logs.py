"""A window of every replica's log: how many lines match what the facts name, and a few of them.

Nothing else of a log is kept, and the samples pass the session's redaction as every reading does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from muster.read.failures import ReadError
from muster.read.kubernetes import source_of, text
from muster.read.session import each
from muster.snapshot import FailureKind

if TYPE_CHECKING:
    from muster.read.session import Session
    from muster.system.expectations import Burst

Json = dict[str, Any]
LIMIT_BYTES = 1024 * 1024  # of one container's log; the API counts from the window's beginning
MOST_REPLICAS = 24  # more than these are judged by a sample: the troubled ones first
SAMPLES = 3
LONGEST_SAMPLE = 300


async def read_logs(session: Session, pods: list[Json]) -> Json:
    """``{"window_s", "running", "replicas"}``: each replica's lines, bytes, whether they were cut, matches by burst.

    ``running`` is how many replicas could have been read. A container that crashed within the window is read with its
    run before, too: what it said last is what matters.
    """
    facts = session.system.logs
    if facts is None:
        raise ReadError(FailureKind.UNDECLARED, "the system's facts do not say what is looked for in logs")
    container, window_s = source_of(session).container, session.environment.scaled(facts.window_s)
    running = {pod["name"]: pod for pod in pods if not pod["terminating"] and _has_spoken(pod, container)}
    chosen = sorted(running.values(), key=lambda pod: (-_trouble(pod, container), pod["name"]))[:MOST_REPLICAS]

    async def one(name: str) -> Json:
        pod = running[name]
        since = time.time() - window_s
        own = next(entry for entry in pod["containers"] if entry["name"] == container)
        crashed = own["restarts"] > 0 and (own["last_exit"] or {}).get("at", 0.0) > since
        pieces = [await _log(session, pod["name"], container, window_s)]
        if crashed:
            pieces.append(await _log(session, pod["name"], container, window_s, previous="true"))
        return summary(pieces, facts.bursts)

    if not chosen:
        raise ReadError(FailureKind.EMPTY, f"no pod has started its container {container}, so none has a log")
    replicas = await each({pod["name"]: str(pod["name"]) for pod in chosen}, one, session.deadline_s)
    return {"window_s": window_s, "running": len(running), "replicas": replicas}


def summary(pieces: Sequence[bytes], bursts: Iterable[Burst]) -> Json:
    """What of these logs is kept."""
    lines = [line for piece in pieces for line in piece.decode(errors="replace").splitlines()]
    found = {}
    for burst in bursts:
        pattern = re.compile(burst.pattern)
        matching = [line for line in lines if pattern.search(line)]
        found[burst.name] = {
            "count": len(matching),
            "samples": [line[:LONGEST_SAMPLE] for line in matching[-SAMPLES:]],
        }
    return {
        "lines": len(lines),
        "bytes": sum(map(len, pieces)),
        "cut": any(len(piece) >= LIMIT_BYTES for piece in pieces),
        "bursts": found,
    }


async def _log(session: Session, pod: str, container: str, window_s: float, **more: str) -> bytes:
    path = f"/api/v1/namespaces/{source_of(session).namespace}/pods/{pod}/log"
    window = {"sinceSeconds": str(max(1, round(window_s))), "limitBytes": str(LIMIT_BYTES)}
    return await text(session, path, container=container, **window, **more)


def _has_spoken(pod: Json, container: str) -> bool:
    return any(
        entry["name"] == container and (not entry["waiting"] or entry["restarts"]) for entry in pod["containers"]
    )


def _trouble(pod: Json, container: str) -> int:
    """Unready ones first, then those that restarted most."""
    restarts = max((entry["restarts"] for entry in pod["containers"] if entry["name"] == container), default=0)
    return int(restarts) + (1000 if pod["conditions"].get("Ready") != "True" else 0)
