"""Rendered texts as files: what ``muster rules`` prints, writes and compares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from muster.rules import alertmanager, cases, prometheus
from muster.system.environment import Environment
from muster.system.model import System

_RENDERERS: dict[str, tuple[str, Callable[[System, Environment], dict[str, Any]]]] = {
    "prometheus": ("rules/{system}.yml", prometheus.rule_file),
    "alertmanager": ("alertmanager.yml", alertmanager.config),
    "prometheusrule": ("prometheusrule/{system}.yml", prometheus.prometheus_rule),
    "cases": ("cases/{system}.yml", cases.case_file),
}
FORMATS = tuple(_RENDERERS)


def render(system: System, environment: Environment, kind: str) -> str:
    """One of FORMATS as text. Raises :class:`~muster.errors.UsageError` when the facts do not suffice for it."""
    body = _RENDERERS[kind][1](system, environment)
    head = f"# Rendered from systems/{system.name}.yaml for {environment.name} by 'muster rules': do not edit.\n"
    return head + yaml.dump(body, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def path_of(system: System, kind: str) -> str:
    """Where a format is written below the folder given."""
    return _RENDERERS[kind][0].format(system=system.name)


def write(system: System, environment: Environment, folder: Path, kinds: tuple[str, ...] = ()) -> list[Path]:
    """Write ``rules/<system>.yml``, ``alertmanager.yml`` and, at true scale, the rest below ``folder``.

    The cases prove true-scale rules, so they are left out of a scaled environment unless ``kinds`` names them.
    All texts are rendered before the first file is touched. Returns the files written.
    """
    texts = {folder / path_of(system, kind): render(system, environment, kind) for kind in kinds or _kinds(environment)}
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(file)  # a reader never sees half a file
    return list(texts)


def differing(system: System, environment: Environment, folder: Path, kinds: tuple[str, ...] = ()) -> list[Path]:
    """The files below ``folder`` that are missing or not as they would be written now."""
    different = []
    for kind in kinds or _kinds(environment):
        file = folder / path_of(system, kind)
        if not file.is_file() or file.read_text(encoding="utf-8") != render(system, environment, kind):
            different.append(file)
    return different


def _kinds(environment: Environment) -> tuple[str, ...]:
    return FORMATS if environment.time_scale == 1 else ("prometheus", "alertmanager")


class _Plain(yaml.SafeDumper):
    """No anchors: people read these files, and Prometheus' own tools print them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
