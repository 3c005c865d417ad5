"""Rendered texts as files: what ``muster rules`` prints, writes and compares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from muster.rules import alertmanager, cases, grafana, prometheus
from muster.system.environment import Environment
from muster.system.model import System

_RENDERERS: dict[str, tuple[str, Callable[[System, Environment], dict[str, Any]]]] = {
    "prometheus": ("rules/{system}.yml", prometheus.rule_file),
    "alertmanager": ("alertmanager.yml", alertmanager.config),
    "prometheusrule": ("prometheusrule/{system}.yml", prometheus.prometheus_rule),
    "cases": ("cases/{system}.yml", cases.case_file),
}
FORMATS = (*_RENDERERS, "grafana")
_TRUE_SCALE = ("prometheus", "alertmanager", "prometheusrule", "cases")  # dashboards are Grafana's, and have a folder


def files(system: System, environment: Environment, kind: str) -> dict[str, str]:
    """The texts of one of FORMATS by path below the folder that they are written to.

    Raises :class:`~muster.errors.UsageError` when the facts do not suffice for it.
    """
    if kind == "grafana":
        made = grafana.dashboards(system, environment)
        return {f"{uid}.json": json.dumps(body, indent=1) + "\n" for uid, body in made.items()}
    path, make = _RENDERERS[kind]
    head = f"# Rendered from systems/{system.name}.yaml for {environment.name} by 'muster rules': do not edit.\n"
    body = make(system, environment)
    return {
        path.format(system=system.name): head
        + yaml.dump(body, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
    }


def render(system: System, environment: Environment, kind: str) -> str:
    """One of FORMATS as text, as it is printed."""
    return "".join(files(system, environment, kind).values())


def write(system: System, environment: Environment, folder: Path, kinds: tuple[str, ...] = ()) -> list[Path]:
    """Write ``rules/<system>.yml``, ``alertmanager.yml`` and, at true scale, the other texts below ``folder``.

    The cases prove true-scale rules, so they are left out of a scaled environment unless ``kinds`` names them; the
    dashboards (``<uid>.json``) are written when ``kinds`` names ``grafana``.
    All texts are rendered before the first file is touched. Returns the files written.
    """
    texts = _texts(system, environment, folder, kinds)
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(file)  # a reader never sees half a file
    return list(texts)


def differing(system: System, environment: Environment, folder: Path, kinds: tuple[str, ...] = ()) -> list[Path]:
    """The files below ``folder`` that are missing or not as they would be written now."""
    return [
        file
        for file, text in _texts(system, environment, folder, kinds).items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]


def _texts(system: System, environment: Environment, folder: Path, kinds: tuple[str, ...]) -> dict[Path, str]:
    usual = _TRUE_SCALE if environment.time_scale == 1 else ("prometheus", "alertmanager")
    rendered = [files(system, environment, kind) for kind in kinds or usual]
    return {folder / path: text for texts in rendered for path, text in texts.items()}


class _Plain(yaml.SafeDumper):
    """No anchors: people read these files, and Prometheus' own tools print them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
