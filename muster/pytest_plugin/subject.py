"""What a run of checks is about: a system in an environment, or a snapshot of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from muster.errors import UsageError
from muster.snapshot import Snapshot
from muster.system import Environment, System, load_environment, load_system

DEFAULT_SYSTEM = "x0tta6bl4"
DEFAULT_ENVIRONMENT = "lab"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged: a system in an environment that is read now, or a snapshot of one that was read before."""

    system: System
    environment_name: str
    environment: Environment | None = None
    snapshot: Snapshot | None = None


def choose(config: pytest.Config) -> Subject:
    """What the options name. Raises :class:`~muster.errors.UsageError`: unknown names, files that do not fit."""
    name, environment = config.getoption("system"), config.getoption("env")
    if file := config.getoption("snapshot"):
        snapshot = _load(Path(config.invocation_params.dir, file))
        for given, found in ((name, snapshot.system), (environment, snapshot.environment)):
            if given not in {None, found}:
                raise UsageError(f"{file} is a snapshot of {snapshot.system}/{snapshot.environment}, not of {given}")
        return Subject(system=load_system(snapshot.system), environment_name=snapshot.environment, snapshot=snapshot)
    system = load_system(name or DEFAULT_SYSTEM)
    chosen = load_environment(system, environment or DEFAULT_ENVIRONMENT)
    return Subject(system=system, environment_name=chosen.name, environment=chosen)


def _load(file: Path) -> Snapshot:
    try:
        return Snapshot.from_json(file.read_bytes(), str(file))
    except OSError as error:
        raise UsageError(f"snapshot {file} cannot be read: {error.strerror}") from None
