"""``<runbook>.coverage.yaml``, beside the runbook: what proves more than one step, and what nothing proves.

``also: {<section>/<step>: [check or experiment, ...]}``; then the reasons, which may only become fewer:
``alerts: {<alert>: {rule|check|experiment: reason}}`` and ``steps: {<section>/<step>: reason}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from muster.errors import UsageError
from muster.plain_yaml import read_yaml
from muster.system.model import System

SUFFIX = ".coverage.yaml"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    schema_: str = Field(alias="schema", pattern="^muster/coverage-notes/v1$")
    also: dict[str, list[str]] = Field(default_factory=dict)
    alerts: dict[str, dict[str, str]] = Field(default_factory=dict)
    steps: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Excuses:
    """By ``<runbook>#<section>/<step>``: what else proves it, or why nothing does; and by (alert, what is missing)."""

    also: dict[str, frozenset[str]] = field(default_factory=dict)
    alerts: dict[tuple[str, str], str] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)


def load(system: System) -> Excuses:
    """The reasons beside each of the system's runbooks. Raises :class:`~muster.errors.UsageError` with the place."""
    also: dict[str, frozenset[str]] = {}
    alerts: dict[tuple[str, str], str] = {}
    steps: dict[str, str] = {}
    for name in system.runbooks:
        runbook = system.runbook_file(name)
        file = runbook.with_suffix(SUFFIX) if runbook is not None else None
        if file is None or not file.exists():
            continue
        found = _parse(file)
        alerts |= {(alert, what): reason for alert, reasons in found.alerts.items() for what, reason in reasons.items()}
        also |= {f"{name}#{place}": frozenset(names) for place, names in found.also.items()}
        steps |= {f"{name}#{place}": reason for place, reason in found.steps.items()}
    return Excuses(also=also, alerts=alerts, steps=steps)


def _parse(file: Path) -> _File:
    try:
        body: Any = read_yaml(file.read_text(encoding="utf-8"))
        return _File.model_validate(body)
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{file}: {where}: {first['msg']}") from None
