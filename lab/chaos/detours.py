"""Where the ingress finds the proxy in front of a pod, on machines whose kernel does not lead it there.

A file and no object of the API: it concerns one machine, and with the agent it ends.
"""

from __future__ import annotations

import json
from pathlib import Path


def file(state: Path) -> Path:
    """Where it lies in a lab's state folder."""
    return state / "chaos" / "detours.json"


def publish(path: Path, found: dict[str, str]) -> None:
    """Write ``address:port`` of pods and of the proxy in front of each, whole or not at all; none: no file."""
    if not found:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".new")
    half.write_text(json.dumps(found))
    half.replace(path)


def read(path: Path) -> dict[str, str]:
    """What was published; empty when there is nothing to be read."""
    try:
        return {str(pod): str(proxy) for pod, proxy in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}
