"""Records of pods' processes in ``STATE/records``: by them a lab that was killed is found and ended, or taken over."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class PodRecord:
    """A container's process. ``name``, ``pid``, ``create_time`` and ``argv`` are what all records of a lab have."""

    name: str
    pid: int
    create_time: float
    argv: list[str]
    pod_uid: str
    container: str
    restart: int


class Records:
    """The ``pod-*.json`` files of one state folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "records"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, record: PodRecord) -> None:
        """Write it so that a reader sees all of it or nothing."""
        path = self._folder / f"{record.name}.json"
        half = path.with_suffix(".json.new")
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(record), file)
        half.replace(path)

    def erase(self, name: str) -> None:
        """The process has ended."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def all(self) -> list[PodRecord]:
        """Every readable record of a pod's process; a torn one tells nothing and is left out."""
        found = []
        for path in sorted(self._folder.glob("pod-*.json")):
            try:
                found.append(PodRecord(**json.loads(path.read_text())))
            except (OSError, ValueError, TypeError):
                continue
        return found


def record_name(pod: dict[str, dict[str, str]], container: str) -> str:
    """``pod-NAMESPACE_POD_CONTAINER_UID``; the uid tells a pod from its successor of the same name."""
    meta = pod["metadata"]
    return f"pod-{meta['namespace']}_{meta['name']}_{container}_{meta['uid'][:8]}"
